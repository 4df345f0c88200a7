"""The book: what adds up, what is replaced, what is bounded, what is new."""

import time
from email.utils import formatdate

import pytest

from mitm_balancer.providers.anthropic import PROVIDER as ANTHROPIC
from mitm_balancer.providers.limits import Window
from mitm_balancer.providers.openai import PROVIDER as OPENAI
from mitm_balancer.providers.usage import Usage
from mitm_balancer.usage import book as module
from mitm_balancer.usage.book import OTHER, Book, Page, SeenWindow, Tally, local_day

NOON = 1_790_000_000
WORK, SPARE = "anthropic/work", "anthropic/spare"
ONE = Usage(input=10, output=2, cache_read=4, cache_write=1, reasoning=1)


def book() -> Book:
    """Days of 1000 seconds: day "0", day "1", ..."""
    return Book(lambda now: str(int(now // 1000)))


def unified(used: str, **more: str) -> list[tuple[bytes, bytes]]:
    pairs = {"Utilization": used, "Reset": f"{NOON + 500}", **more}
    return [(f"Anthropic-RateLimit-Unified-5h-{name}".encode(), value.encode()) for name, value in pairs.items()]


def test_answers_add_up_by_account_and_model() -> None:
    found = book()
    for account, model in ((WORK, "a"), (WORK, "a"), (WORK, "b"), (SPARE, "a")):
        found.add(account, model, ONE, 1)
    found.add(WORK, "a", None, 2)

    first, *others = found.snapshot(3).tallies
    assert first == Tally("0", WORK, "a", 3, 1, ONE + ONE)
    assert others == [Tally("0", WORK, "b", 1, 0, ONE), Tally("0", SPARE, "a", 1, 0, ONE)]


def test_only_what_is_new_is_taken_and_today_stays() -> None:
    found = book()
    found.add(WORK, "a", ONE, 1)
    assert found.take().tallies == (Tally("0", WORK, "a", 1, 0, ONE),)
    assert found.take() == Page()
    found.add(WORK, "a", ONE, 2)
    assert found.take().tallies == (Tally("0", WORK, "a", 1, 0, ONE),)
    assert found.snapshot(3).tallies == (Tally("0", WORK, "a", 2, 0, ONE + ONE),)


def test_a_new_day_begins_at_nothing_and_yesterdays_rest_is_still_taken() -> None:
    found = book()
    found.add(WORK, "a", ONE, 999)
    found.add(WORK, "a", ONE, 1000)

    assert found.snapshot(1001).tallies == (Tally("1", WORK, "a", 1, 0, ONE),)
    assert [tally.day for tally in found.take().tallies] == ["0", "1"]
    assert found.snapshot(1001).tallies == (Tally("1", WORK, "a", 1, 0, ONE),), "also after they were taken"
    assert found.snapshot(2000).tallies == ()


def test_a_restart_goes_on_where_it_was() -> None:
    found = book()
    window = SeenWindow(WORK, Window("5h", 40.0), 900.0)
    yesterday, today = Tally("0", WORK, "a", 9, 0, ONE), Tally("1", WORK, "a", 5, 1, ONE)
    found.restore(Page((yesterday, today), (window,)), 1000)
    found.add(WORK, "a", ONE, 1001)

    assert found.snapshot(1002) == Page((Tally("1", WORK, "a", 6, 1, ONE + ONE),), (window,))
    assert found.take() == Page((Tally("1", WORK, "a", 1, 0, ONE),))


def test_models_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TALLIES", 3)
    found = book()
    for number in range(10):
        found.add(WORK, f"m{number}" + "x" * 500, ONE, 1)
    found.add(WORK, "m0" + "x" * 500, ONE, 1)

    tallies = found.snapshot(1).tallies
    assert [(tally.model[:7].rstrip("x"), tally.answers) for tally in tallies] == [
        ("m0", 2),
        ("m1", 1),
        ("m2", 1),
        (OTHER, 7),
    ]
    assert max(len(tally.model) for tally in tallies) == 100
    found.take()
    found.add(WORK, "tomorrow's", ONE, 1000)
    assert [tally.model for tally in found.snapshot(1000).tallies] == ["tomorrow's"]


def test_headers_of_any_answer_become_windows_when_asked_for() -> None:
    """Of several answers the newest counts, of a repeated header the first.

    The reset is on our clock, whatever the provider's says.
    """
    found = book()
    found.heard(WORK, ANTHROPIC, unified("0.25"), NOON)
    date = (b"Date", formatdate(NOON + 200, usegmt=True).encode())  # ours says NOON + 10
    found.heard(WORK, ANTHROPIC, [*unified("0.5", Status="allowed"), date], NOON + 10)
    found.heard(WORK, ANTHROPIC, [*unified("0.75", Status="allowed"), *unified("0.1"), date], NOON + 10)
    found.heard(SPARE, ANTHROPIC, [(b"content-type", b"a/b"), date], NOON + 20)

    (seen,) = found.snapshot(NOON + 20).windows
    assert (seen.account, seen.window.name, seen.window.used_percent) == (WORK, "unified-5h", 75.0)
    assert (seen.window.status, seen.seen_at, seen.reset_at) == ("allowed", NOON + 10, NOON + 310)
    assert found.take().windows == (seen,)
    assert found.take().windows == ()


def test_a_window_that_is_not_spoken_of_stays() -> None:
    found = book()
    found.windows(WORK, [Window("5h", 10.0), Window("7d", 20.0)], 1.0)
    found.windows(WORK, [Window("5h", 30.0)], 2.0)
    found.windows(SPARE, [Window("5h", 1.0)], 3.0)

    shown = [(s.account, s.window.name, s.window.used_percent, s.seen_at) for s in found.snapshot(4).windows]
    assert shown == [(WORK, "5h", 30.0, 2.0), (WORK, "7d", 20.0, 1.0), (SPARE, "5h", 1.0, 3.0)]


def test_windows_of_an_account_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WINDOWS", 2)
    found = book()
    found.windows(WORK, [Window(str(number)) for number in range(9)], 1.0)
    found.windows(WORK, [Window("1", 5.0)], 2.0)
    assert [(s.window.name, s.window.used_percent) for s in found.snapshot(3).windows] == [("0", None), ("1", 5.0)]


def test_another_table_does_not_read_what_was_heard_under_the_old_one() -> None:
    """A reload changed the provider: its headers may mean something else now."""
    found = book()
    found.heard(WORK, ANTHROPIC, unified("0.25"), 1.0)
    found.heard(WORK, OPENAI, [(b"x-ratelimit-remaining-requests", b"3")], 2.0)
    assert [seen.window.name for seen in found.snapshot(3).windows] == ["requests"]


def test_a_day_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "EAST-14")  # 14 hours before UTC
    time.tzset()
    try:
        assert local_day(11 * 3600) == "1970-01-02"
    finally:
        monkeypatch.undo()
        time.tzset()
