"""The book: tokens per account and model since midnight, and the limit windows that each account last showed.

In memory only. A request costs a few dictionary look-ups, however many accounts there are: headers are kept as they
came and read when somebody asks, at most once a second. `take` gives what is new, for whoever writes it down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from mitm_balancer.core import resets
from mitm_balancer.core.evidence import Source
from mitm_balancer.providers.limits import Window, windows
from mitm_balancer.providers.model import Provider
from mitm_balancer.providers.usage import Usage
from mitm_balancer.usage.limit_headers import RawHeaders, limit_headers

MOST_TALLIES = 2000
"""Pairs of account and model in one day; models are named by clients, so their number has to be bounded."""

MOST_WINDOWS = 64
"""Windows of one account: Codex has two for each metered model."""

LONGEST_MODEL = 100
OTHER = "(other)"
"""Stands for the models beyond the bound."""

_NOTHING = Usage()

type _Key = tuple[str, str, str]
"""Day, account, model."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one account did with one model on one day."""

    day: str
    """YYYY-MM-DD on this machine's clock."""
    account: str
    model: str
    """Empty: the request named none."""
    answers: int
    unmetered: int
    """Those of them that did not tell their tokens."""
    usage: Usage

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.day,
            self.account,
            self.model,
            self.answers + other.answers,
            self.unmetered + other.unmetered,
            self.usage + other.usage,
        )


def _key(tally: Tally) -> _Key:
    return tally.day, tally.account, tally.model


@dataclass(frozen=True, slots=True)
class SeenWindow:
    """A limit window, and when it was as it says. Unix seconds on our clock."""

    account: str
    window: Window
    """Its `wait` counts from `seen_at`."""
    seen_at: float
    source: Source = Source.HEADER

    @property
    def reset_at(self) -> float | None:
        return self.window.reset_at(self.seen_at)


@dataclass(frozen=True, slots=True)
class Page:
    """Tallies and windows at one moment."""

    tallies: tuple[Tally, ...] = ()
    windows: tuple[SeenWindow, ...] = ()


@dataclass(slots=True)
class _Heard:
    """Limit headers of one account that nobody has read yet; of the same header the newest."""

    provider: Provider
    headers: dict[str, str] = field(default_factory=dict)
    at: float = 0.0


def local_day(now: float) -> str:
    """The date on this machine's clock."""
    return time.strftime("%Y-%m-%d", time.localtime(now))


class Book:
    """Not for several threads at once. `now` is unix seconds."""

    def __init__(self, day_of: Callable[[float], str] = local_day) -> None:
        self._day_of = day_of
        self.listener: Callable[[SeenWindow], None] = lambda _: None
        """Hears of every window that is noted or restored."""
        self._day = ""
        self._taken: dict[_Key, Tally] = {}
        """Today's, but for the new ones; those of yesterday that were taken today go with the next day."""
        self._new: dict[_Key, Tally] = {}
        self._windows: dict[str, dict[str, SeenWindow]] = {}
        self._changed: dict[tuple[str, str], SeenWindow] = {}
        self._heard: dict[str, _Heard] = {}

    def add(self, account: str, model: str, usage: Usage | None, now: float) -> None:
        """One answer; None: it did not tell its tokens."""
        day = self._turn(now)
        model = model[:LONGEST_MODEL]
        key = (day, account, model)
        if (old := self._new.get(key)) is None and self._is_full(key):
            key = (day, account, OTHER)
            old = self._new.get(key)
        tally = Tally(*key, 1, int(usage is None), usage or _NOTHING)
        self._new[key] = tally if old is None else old + tally

    def heard(self, account: str, provider: Provider, headers: RawHeaders, now: float) -> None:
        """An answer's headers, whatever its status: those that speak of limits are kept until `take` or `snapshot`."""
        found = limit_headers(provider.limits, headers)
        if not found:
            return
        heard = self._heard.get(account)
        if heard is None or heard.provider is not provider:
            heard = self._heard[account] = _Heard(provider)
        heard.headers.update(found)
        heard.at = now

    def windows(self, account: str, found: Iterable[Window], now: float, source: Source = Source.HEADER) -> None:
        """What an account showed of its limits; windows that are not among them stay as they were."""
        known = self._windows.setdefault(account, {})
        for window in found:
            if window.name in known or len(known) < MOST_WINDOWS:
                seen = SeenWindow(account, window, now, source)
                known[window.name] = self._changed[account, window.name] = seen
                self.listener(seen)

    def heard_at(self, account: str) -> float | None:
        """When an answer last showed this account's limits; None: none has."""
        heard = self._heard.get(account)
        times = [heard.at] if heard is not None else []
        known = self._windows.get(account, {}).values()
        return max([*times, *(seen.seen_at for seen in known if seen.source is Source.HEADER)], default=None)

    def rename(self, account: str, name: str) -> None:
        """The account has another name now: what is not written down yet goes there with what is."""
        self.forget(name)
        self._windows[name] = {w: replace(s, account=name) for w, s in self._windows.pop(account, {}).items()}
        self._changed = {
            (name if of == account else of, window): replace(seen, account=name) if of == account else seen
            for (of, window), seen in self._changed.items()
        }
        if (heard := self._heard.pop(account, None)) is not None:
            self._heard[name] = heard
        for tallies in (self._taken, self._new):
            for day, of, model in [key for key in tallies if key[1] == account]:
                tallies[day, name, model] = replace(tallies.pop((day, of, model)), account=name)

    def forget(self, account: str) -> None:
        """Another account has that name now, or none. Its tallies are history, and stay."""
        self._windows.pop(account, None)
        self._heard.pop(account, None)
        self._changed = {key: seen for key, seen in self._changed.items() if key[0] != account}

    def restore(self, page: Page, now: float) -> None:
        """What was written down earlier today, before anything is added."""
        self._turn(now)
        self._taken = {_key(tally): tally for tally in page.tallies}
        for seen in page.windows:
            self._windows.setdefault(seen.account, {})[seen.window.name] = seen
            self.listener(seen)

    def snapshot(self, now: float) -> Page:
        """Today's tallies, and every window."""
        day = self._turn(now)
        self._read()
        tallies = {key: tally for key, tally in self._merged().items() if tally.day == day}
        return Page(tuple(tallies.values()), tuple(s for known in self._windows.values() for s in known.values()))

    def take(self) -> Page:
        """What is new since the last call: tallies to be added to those written down, windows to replace them."""
        self._read()
        page = Page(tuple(self._new.values()), tuple(self._changed.values()))
        self._taken = self._merged()
        self._new, self._changed = {}, {}
        return page

    def _turn(self, now: float) -> str:
        day = self._day_of(now)
        if day != self._day:
            self._day, self._taken = day, {}
        return day

    def _is_full(self, key: _Key) -> bool:
        return key not in self._taken and len(self._taken.keys() | self._new.keys()) >= MOST_TALLIES

    def _merged(self) -> dict[_Key, Tally]:
        merged = dict(self._taken)
        for key, tally in self._new.items():
            merged[key] = merged[key] + tally if key in merged else tally
        return merged

    def _read(self) -> None:
        for account, heard in self._heard.items():
            clock = resets.server_clock(heard.headers.get("date"), heard.at)
            self.windows(account, windows(heard.provider, heard.headers, server_now=clock), heard.at)
        self._heard = {}
