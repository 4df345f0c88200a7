"""The book and the store together: saved in batches, found again, added to by several, collected in trouble."""

import time
from pathlib import Path

import pytest

from mitm_balancer.core.evidence import Source
from mitm_balancer.providers.limits import Window
from mitm_balancer.providers.usage import Usage
from mitm_balancer.running.bookkeeping import Bookkeeper
from mitm_balancer.store import Store
from mitm_balancer.usage.book import Book, Page, SeenWindow, local_day

WORK = "anthropic/work"
ONE = Usage(10, 2, 4, 1, 1)
NOW = float(int(time.time()))


def test_a_restart_finds_what_was_saved(tmp_path: Path) -> None:
    """Every field of both; a second process' counts are added, not replaced."""
    windows = [Window("5h", 40.0, 6.0, 10.0, 60.0, "allowed", 300), Window("7d")]
    for _ in range(2):
        store, book = Store.open(tmp_path / "home"), Book()
        keeper = Bookkeeper(book, store)
        book.add(WORK, "claude", ONE, NOW)
        book.add(WORK, "claude", None, NOW)
        book.windows(WORK, windows, NOW)
        keeper.save()
        store.close()

    store, book = Store.open(tmp_path / "home"), Book()
    Bookkeeper(book, store).restore(NOW)
    (tally,) = book.snapshot(NOW).tallies
    assert (tally.day, tally.answers, tally.unmetered, tally.usage) == (local_day(NOW), 4, 2, ONE + ONE)
    assert book.snapshot(NOW).windows == tuple(SeenWindow(WORK, window, NOW) for window in windows)
    assert book.take() == Page(), "what was found is not written again"
    store.close()


def test_a_poll_is_still_one_after_a_restart(tmp_path: Path) -> None:
    """Else its old number would outrank what a refusal or a header has told meanwhile."""
    store, book = Store.open(tmp_path / "home"), Book()
    book.windows(WORK, [Window("5h", 40.0)], NOW, Source.POLL)
    Bookkeeper(book, store).save()
    store.close()
    store, book = Store.open(tmp_path / "home"), Book()
    Bookkeeper(book, store).restore(NOW)
    assert [seen.source for seen in book.snapshot(NOW).windows] == [Source.POLL]
    assert book.heard_at(WORK) is None, "no header was heard"
    book.windows(WORK, [Window("7d", 40.0)], NOW - 5)
    assert book.heard_at(WORK) == NOW - 5
    store.close()


def test_it_saves_at_most_once_a_second(tmp_path: Path) -> None:
    store, book = Store.open(tmp_path / "home"), Book()
    keeper = Bookkeeper(book, store)
    taken = []
    for moment in (0.0, 0.5, 0.9, 1.1, 1.5, -3600.0):
        book.add(WORK, "claude", ONE, NOW)
        keeper.save_if_due(NOW + moment)
        taken.append(not book._new)
        while store.usage_waiting:
            pass
    store.close()
    assert taken == [True, False, False, True, False, True], "the clock went back at the end"


def test_a_store_in_trouble_does_not_pile_up_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, book = Store.open(tmp_path / "home"), Book()
    keeper = Bookkeeper(book, store)
    monkeypatch.setattr(Store, "usage_waiting", True)
    for second in range(5):
        book.add(WORK, "claude", ONE, NOW)
        keeper.save_if_due(NOW + 2 * second)
    monkeypatch.undo()
    (waiting,) = book._new.values()
    assert waiting.answers == 5
    keeper.save()
    store.close()
    store = Store.open(tmp_path / "home")
    assert [row.answers for row in store.usage(local_day(NOW))] == [5]
    store.close()


def test_without_a_store_the_book_does_not_grow() -> None:
    book = Book()
    keeper = Bookkeeper(book, None)
    keeper.restore(NOW)
    book.add(WORK, "claude", ONE, NOW)
    keeper.save_if_due(NOW)
    assert book.take() == Page()
    assert book.snapshot(NOW).tallies[0].answers == 1
