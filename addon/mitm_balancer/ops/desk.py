"""A queue and one thread: whoever has something to tell drops it and goes on.

The event loop pays for an append. The thread takes what has gathered in a moment's pause, a few at a time, so that
Python's lock is never held for longer than the loop can do without. What waits is bounded: drops are counted and told.
"""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""Items: at about 2 kB each, 20 MB. A thread that is that far behind stands still (a full pipe, a dead disk)."""

PAUSE = 0.05
"""Seconds in which items gather after the first: one wake-up, one write, for all of them."""

AT_ONCE = 100
"""Items between two pauses for breath: about a millisecond. A pause itself costs the loop, so not after each item."""

COMPLAIN_EVERY = 60.0


class Desk[T]:
    """`work` takes each item, `rest` is called when a few have been taken; both run in the thread."""

    def __init__(self, work: Callable[[T], None], rest: Callable[[], None], *, most: int = MOST_WAITING) -> None:
        self._work, self._rest = work, rest
        self._most = most
        self._items: collections.deque[T] = collections.deque()
        self._wake = threading.Event()
        self._asleep = True
        self._stopping = False
        self._complained = -COMPLAIN_EVERY
        self.dropped = 0
        """Items that found no place, ever. Only the thread of `put` changes it."""
        self._thread: threading.Thread | None = None

    def put(self, item: T) -> None:
        """Hand it over: returns at once, never raises. From any thread."""
        if len(self._items) >= self._most:
            self.dropped += 1
            return
        self._items.append(item)
        if self._asleep:
            self._asleep = False
            self._wake.set()

    def start(self) -> None:
        """Begin to work; what was put before is not lost. Any number of times."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="balancer-desk", daemon=True)
            self._thread.start()

    def close(self, timeout: float) -> int:
        """Work off what waits, at most for `timeout` seconds, and end the thread. The number of items left behind."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
        return len(self._items)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if not self._stopping:
                time.sleep(PAUSE)
            self._wake.clear()
            # Before the look: whoever puts after it sees the flag and sets `_wake`.
            self._asleep = True
            while self._items:
                self._take_a_few()
            if self._stopping and not self._items:
                return

    def _take_a_few(self) -> None:
        try:
            for _ in range(min(AT_ONCE, len(self._items))):
                self._work(self._items.popleft())
            self._rest()
        except Exception:  # the border of this thread: one bad item must not end the telling
            if time.monotonic() - self._complained >= COMPLAIN_EVERY:
                self._complained = time.monotonic()
                logger.exception("mitm-balancer: what was to be told got lost")
        time.sleep(0)  # the event loop may have been waiting for Python's lock
