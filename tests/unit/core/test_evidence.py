"""Whose word about a quota counts, and for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from mitm_balancer.core.evidence import Evidence, Source
from mitm_balancer.providers.limits import Window as ProviderWindow

NOW = 1000.0
DAY = 86_400.0


@dataclass
class Window:
    """A window as a provider states it."""

    name: str = "5h"
    used_percent: float | None = None
    wait: float | None = 3600.0
    remaining: float | None = None
    limit: float | None = None
    minutes: int | None = None


def left(evidence: Evidence, now: float = NOW, model: str = "m") -> float | None:
    return evidence.outlook("a", model, now).left


def test_the_providers_windows_fit() -> None:
    """`limits.Window` is what comes in."""
    evidence = Evidence()
    evidence.stated("a", [ProviderWindow("unified-5h", used_percent=30.0, wait=60.0)], NOW)
    assert left(evidence) == 70


def test_nothing_is_known_of_an_account_that_said_nothing() -> None:
    """Which is not the same as a full one."""
    assert left(Evidence()) is None


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (Source.LEARNT, Source.HEADER, "first"),
        (Source.LEARNT, Source.POLL, "first"),
        (Source.HEADER, Source.POLL, "first"),
        (Source.HEADER, Source.HEADER, "second"),
        (Source.POLL, Source.HEADER, "second"),
        (Source.POLL, Source.LEARNT, "second"),
    ],
)
def test_the_stronger_word_counts(first: Source, second: Source, counts: str) -> None:
    """An optimistic poll never clears a lock early."""
    evidence = Evidence()
    evidence.stated("a", [Window(used_percent=90)], NOW, first)
    evidence.stated("a", [Window(used_percent=20)], NOW + 1, second)
    assert left(evidence, NOW + 1) == (10 if counts == "first" else 80)


def test_a_header_is_not_trusted_over_a_poll_for_ever() -> None:
    """After ten minutes the newer word counts: somebody may spend elsewhere."""
    evidence = Evidence()
    evidence.stated("a", [Window(used_percent=20)], NOW)
    evidence.stated("a", [Window(used_percent=90)], NOW + 599, Source.POLL)
    assert left(evidence, NOW + 599) == 80
    evidence.stated("a", [Window(used_percent=90)], NOW + 600, Source.POLL)
    assert left(evidence, NOW + 600) == 10


def test_a_refusal_counts_until_its_end_or_until_somebody_was_served_after_it() -> None:
    """A request that began before it proves nothing."""
    for since, remaining in ((NOW - 1, 0.0), (NOW + 5, 80.0)):
        evidence = Evidence()
        evidence.stated("a", [Window(used_percent=20)], NOW)
        evidence.learnt("a", "", NOW + 50, NOW)
        assert left(evidence, NOW + 1) == 0
        evidence.served("a", "m", since)
        assert left(evidence, NOW + 6) == remaining
        assert left(evidence, NOW + 50) == 80


def test_each_number_carries_its_age_and_its_source() -> None:
    """For people to judge by."""
    evidence = Evidence()
    evidence.stated("a", [Window(used_percent=20)], NOW, Source.POLL)
    [reading] = evidence.readings("a", NOW + 30)
    assert (reading.age(NOW + 30), reading.source, reading.used) == (30, Source.POLL, 20)
    assert list(evidence.readings("a", NOW + 3600)) == []


def test_a_window_is_full_again_after_its_reset() -> None:
    """And until then the outlook tells when it changes."""
    evidence = Evidence()
    evidence.stated("a", [Window(used_percent=90, wait=60)], NOW)
    assert evidence.outlook("a", "m", NOW).until == NOW + 60
    assert left(evidence, NOW + 60) == 100


def test_the_tightest_window_counts() -> None:
    """Among those that concern the model."""
    evidence = Evidence()
    windows = [Window("unified-5h", 30), Window("unified-7d", 60), Window("unified-7d_opus", 95)]
    evidence.stated("a", windows, NOW, of_model=lambda name: "opus" in name)
    assert left(evidence, model="claude-sonnet-4-5") == 40
    assert left(evidence, model="claude-opus-4-1") == 5
    assert left(evidence, model="") == 40


def test_a_model_refusal_concerns_that_model() -> None:
    """The others go on."""
    evidence = Evidence()
    evidence.stated("a", [Window(used_percent=20)], NOW)
    evidence.learnt("a", "claude-opus-4", NOW + 500, NOW)
    assert left(evidence, model="claude-opus-4") == 0
    assert left(evidence, model="claude-sonnet-4") == 80


@pytest.mark.parametrize(
    ("window", "known"),
    [
        (Window("requests", used_percent=99, wait=12), False),
        (Window("tokens", remaining=10, limit=1000, wait=60), False),
        (Window("primary", used_percent=99, wait=12, minutes=300), True),
        (Window("secondary", remaining=10, limit=1000, wait=9000), True),
        (Window("5h", used_percent=99, wait=12), True),
        (Window("weekly", used_percent=99, wait=12), True),
        (Window("x", wait=9000), False),
    ],
)
def test_a_rate_is_no_quota(window: Window, known: bool) -> None:
    """What refills while one looks tells nothing about how much is left to spend."""
    evidence = Evidence()
    evidence.stated("a", [window], NOW)
    assert left(evidence) == (pytest.approx(1) if known else None)


def test_long_and_short_resets_are_told_apart() -> None:
    """By stated length, else by name."""
    evidence = Evidence()
    evidence.stated("a", [Window("primary", 10, 100, minutes=300), Window("secondary", 10, 900, minutes=10080)], NOW)
    evidence.stated("b", [Window("unified-7d", 10, 500)], NOW)
    outlook = evidence.outlook("a", "m", NOW)
    assert (outlook.long_reset, outlook.short_reset) == (NOW + 900, NOW + 100)
    assert evidence.outlook("b", "m", NOW).long_reset == NOW + 500
    assert evidence.outlook("b", "m", NOW).short_reset == math.inf


def test_a_reading_without_a_reset_is_forgotten_after_a_day() -> None:
    """It would otherwise be believed for ever."""
    evidence = Evidence()
    evidence.stated("a", [Window(used_percent=90, wait=None)], NOW)
    assert left(evidence, NOW + DAY - 1) == 10
    assert left(evidence, NOW + DAY) is None


def test_what_the_operator_forgets_is_forgotten_and_no_more() -> None:
    evidence = Evidence()
    evidence.stated("a", [Window(used_percent=30)], NOW)
    evidence.learnt("a", "", NOW + DAY, NOW)
    evidence.learnt("a", "Opus", NOW + DAY, NOW)
    evidence.learnt("b", "", NOW + DAY, NOW)
    before = evidence.changes.position

    evidence.forget("a", "opus")
    assert left(evidence, model="opus") == 0, "the account is still refused"
    evidence.forget("a", "")
    assert left(evidence, model="opus") == 70
    evidence.forget("a")
    assert left(evidence) is None
    assert evidence.outlook("b", "m", NOW).left == 0
    assert set(evidence.changes.since(before) or ()) == {"a"}
