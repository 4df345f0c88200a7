"""The window of capture, as a running proxy sees it open and end."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.ops.events import EventType
from mitm_balancer.proxy.capture import Capture
from mitm_balancer.store import Store


class Watched:
    """A capture whose clock the test sets."""

    def __init__(self, home: Path) -> None:
        self.now = 1000.0
        self.store = Store.open(home)
        self.events: list[EventType] = []
        book = AccountBook(self.store, Vault.open(home))
        self.capture = Capture(book, self._changed, lambda kind, *_: self.events.append(kind), lambda: self.now)

    async def _changed(self) -> None: ...

    def at(self, now: float, until: float | None = None) -> list[EventType]:
        """Look at that time, after the setting was read where there is a new one; what was told by then."""
        self.now = now
        if until is not None:
            self.capture.adopt({"until": until}, ())
        self.capture.look()
        return self.events


@pytest.fixture
def watched(tmp_path: Path):
    watched = Watched(tmp_path / "home")
    yield watched
    watched.store.close()


def test_its_end_is_told_once(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert watched.at(1000, until=1600) == []
    assert watched.at(1599) == []
    assert watched.at(1600) == [EventType.CAPTURE_ENDED]
    assert watched.at(1700, until=1600) == [EventType.CAPTURE_ENDED]
    assert caplog.text.count("has ended") == 1


def test_an_end_that_comes_with_other_news_is_told(watched: Watched) -> None:
    """The store was read again, for another reason, between the end and the look."""
    watched.at(1000, until=1600)
    watched.now = 1601
    watched.capture.adopt({"until": 1600}, ())
    assert watched.at(1601) == [EventType.CAPTURE_ENDED]


def test_the_operators_own_end_is_not_told_again(watched: Watched) -> None:
    watched.at(1000, until=1600)
    assert watched.at(1100, until=0) == []
    assert watched.at(2000) == []


def test_a_window_of_long_ago_is_no_news(watched: Watched) -> None:
    """A proxy that starts after it."""
    assert watched.at(5000, until=1600) == []


def test_a_window_that_is_opened_again_ends_again(watched: Watched) -> None:
    watched.at(1000, until=1100)
    watched.at(1050, until=1200)
    assert watched.at(1150) == []
    watched.at(1200)
    watched.at(1300, until=1400)
    assert watched.at(1400) == [EventType.CAPTURE_ENDED] * 2
