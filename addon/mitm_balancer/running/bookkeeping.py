"""The book of usage is written down: read back at the start, saved at most once a second, and at the end."""

from __future__ import annotations

import dataclasses

from mitm_balancer.core.evidence import Source
from mitm_balancer.providers.limits import Window
from mitm_balancer.providers.usage import Usage
from mitm_balancer.store import Store, UsageRow, WindowRow
from mitm_balancer.usage.book import Book, Page, SeenWindow, Tally, local_day

SAVE_EVERY = 1.0
"""Seconds between two savings: what a kill -9 may cost of the counts."""


class Bookkeeper:
    """Between one book and one store. Without a store the book is still read, so that it does not grow."""

    def __init__(self, book: Book, store: Store | None) -> None:
        self._book, self._store = book, store
        self._saved = 0.0

    def restore(self, now: float) -> None:
        """What earlier processes wrote down today. Reads the store: blocks. `now` is unix seconds."""
        if self._store is None:
            return
        tallies = tuple(_tally(row) for row in self._store.usage(local_day(now)))
        self._book.restore(Page(tallies, tuple(_window(row) for row in self._store.windows())), now)

    def save_if_due(self, now: float) -> None:
        """Hand what is new to the store's writer, unless that was done within the last second."""
        if not 0 <= now - self._saved < SAVE_EVERY:
            self._saved = now
            # What waits for a store in trouble stays in the book, where it adds up instead of piling up.
            if self._store is None or not self._store.usage_waiting:
                self.save()

    def save(self) -> None:
        """Hand what is new to the store's writer, which does the waiting."""
        page = self._book.take()
        if self._store is not None:
            self._store.add_usage(_usage_row(tally) for tally in page.tallies)
            self._store.save_windows(_window_row(seen) for seen in page.windows)


def _usage_row(tally: Tally) -> UsageRow:
    usage = dataclasses.asdict(tally.usage)
    return UsageRow(tally.day, tally.account, tally.model, tally.answers, tally.unmetered, **usage)


def _tally(row: UsageRow) -> Tally:
    usage = Usage(row.input, row.output, row.cache_read, row.cache_write, row.reasoning)
    return Tally(row.day, row.account, row.model, row.answers, row.unmetered, usage)


def _window_row(seen: SeenWindow) -> WindowRow:
    w = seen.window
    numbers = (w.used_percent, w.remaining, w.limit, seen.reset_at, w.status, w.minutes)
    return WindowRow(seen.account, w.name, seen.seen_at, *numbers, source=seen.source.name.lower())


def _window(row: WindowRow) -> SeenWindow:
    wait = None if row.reset_at is None else row.reset_at - row.seen_at
    window = Window(row.name, row.used_percent, row.remaining, row.allowed, wait, row.status, row.minutes)
    return SeenWindow(row.account, window, row.seen_at, Source.POLL if row.source == "poll" else Source.HEADER)
