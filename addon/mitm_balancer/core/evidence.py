"""What is known about the quota of each account, from whom, and since when.

A limit learnt from a refusal outranks a response header, which outranks a usage poll. The weaker word never lifts the
stronger one early; a request that was served after the refusal does. Times are monotonic seconds.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mitm_balancer.core.changes import Changes

HEADER_TRUSTED = 600.0
"""Seconds for which a header outranks a poll. Afterwards the newer word counts: somebody may spend elsewhere."""

KEPT = 86_400.0
"""Seconds after which a reading without a reset means nothing."""

QUOTA_MINUTES = 60
"""A window of at least this length is a quota; shorter ones are rates, which refill while one looks."""

RATE_WAIT = 120.0
"""Of a window of unknown length: a reset nearer than this is a rate's."""

WEEKLY_MINUTES = 24 * 60
"""From here on a window counts as long: what it holds is lost for days when it is not used."""


class Source(enum.IntEnum):
    """The higher outranks the lower."""

    POLL = 1
    HEADER = 2
    LEARNT = 3


class Window(Protocol):
    """A limit window as the provider stated it (`providers.limits.Window` is one)."""

    @property
    def name(self) -> str: ...
    @property
    def used_percent(self) -> float | None: ...
    @property
    def remaining(self) -> float | None: ...
    @property
    def limit(self) -> float | None: ...
    @property
    def wait(self) -> float | None: ...
    @property
    def minutes(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """One number."""

    window: str
    used: float
    """Percent."""
    reset: float | None
    at: float
    """When it was stated."""
    source: Source
    minutes: int | None = None
    models: tuple[str, ...] = ()
    """Words that a model's name must hold for this window to concern it; empty: it concerns all."""

    def age(self, now: float) -> float:
        return now - self.at

    def holds(self, now: float) -> bool:
        """Whether it still says something about now."""
        return now < self.reset if self.reset is not None else self.age(now) < KEPT

    def concerns(self, model: str) -> bool:
        return not self.models or (bool(model) and all(word in model.lower() for word in self.models))

    @property
    def is_quota(self) -> bool:
        if self.source is Source.LEARNT:
            return True
        if self.minutes is not None:
            return self.minutes >= QUOTA_MINUTES
        return self.reset is None or self.reset - self.at > RATE_WAIT

    @property
    def is_long(self) -> bool:
        return self.minutes is not None and self.minutes >= WEEKLY_MINUTES


@dataclass(frozen=True, slots=True)
class Outlook:
    """The quota of one account for one model."""

    left: float | None = None
    """Percent of the tightest window; None: unknown."""
    long_reset: float = math.inf
    short_reset: float = math.inf
    until: float = math.inf
    """When this stops being true by itself: the next reset."""


class Evidence:
    """Readings of all accounts."""

    def __init__(self, changes: Changes | None = None) -> None:
        self.changes = changes if changes is not None else Changes()
        self._readings: dict[str, dict[str, Reading]] = {}

    def stated(
        self, name: str, windows: Iterable[Window], now: float, source: Source = Source.HEADER,
        of_model: Callable[[str], bool] = lambda _: False,
    ) -> None:  # fmt: skip
        """An account's windows. `of_model` tells of a window's name whether it limits one model only."""
        for window in windows:
            used = _used(window)
            if used is None:
                continue
            models = _model_words(window.name) if of_model(window.name) else ()
            minutes = window.minutes if window.minutes is not None else minutes_of(window.name)
            reset = None if window.wait is None else now + window.wait
            self._put(name, Reading(window.name, used, reset, now, source, minutes, models))

    def learnt(self, name: str, model: str, until: float, now: float) -> None:
        """A refusal: nothing is left before `until`, of this model, or ("") of the account."""
        models = (model.lower(),) if model else ()
        self._put(name, Reading(f"refused {model}".rstrip(), 100.0, until, now, Source.LEARNT, models=models))

    def served(self, name: str, model: str, since: float) -> None:
        """A request that began at `since` was served: what an earlier refusal said is over."""
        of_name = self._readings.get(name)
        if of_name is None:
            return
        over = [
            r.window for r in of_name.values()
            if r.source is Source.LEARNT and r.at < since and r.concerns(model)
        ]  # fmt: skip
        for window in over:
            del of_name[window]
            self.changes.note(name)

    def forget(self, name: str, model: str | None = None) -> None:
        """Somebody knows better: forget all that is known of it, or what a refusal of that model said ("": of all)."""
        of_name = self._readings.get(name, {})
        models = (model.lower(),) if model else ()
        refused = (w for w, r in of_name.items() if r.source is Source.LEARNT and r.models == models)
        for window in list(of_name if model is None else refused):
            del of_name[window]
            self.changes.note(name)

    def readings(self, name: str, now: float) -> Iterator[Reading]:
        """Those that still hold, for people to look at; each knows its age."""
        return (r for r in self._readings.get(name, {}).values() if r.holds(now))

    def rename(self, old: str, new: str) -> None:
        """The account has another name now."""
        self._readings[new] = self._readings.pop(old, {})
        self.changes.note(new)

    def outlook(self, name: str, model: str, now: float) -> Outlook:
        """What the readings come to. A window whose reset has passed is full again, and its next one unknown."""
        left: float | None = None
        ends = {True: math.inf, False: math.inf}
        until = math.inf
        for reading in self._readings.get(name, {}).values():
            if not reading.is_quota or not reading.concerns(model):
                continue
            if not reading.holds(now):
                left = left if left is not None or reading.reset is None else 100.0
                continue
            left = min(100.0 if left is None else left, max(0.0, 100.0 - reading.used))
            if reading.reset is not None:
                until = min(until, reading.reset)
                if reading.source is not Source.LEARNT:
                    ends[reading.is_long] = min(ends[reading.is_long], reading.reset)
        return Outlook(left, ends[True], ends[False], until)

    def _put(self, name: str, new: Reading) -> None:
        of_name = self._readings.setdefault(name, {})
        old = of_name.get(new.window)
        if old is not None and old.source > new.source and old.holds(new.at):
            trusted = math.inf if old.source is Source.LEARNT else HEADER_TRUSTED
            if old.age(new.at) < trusted:
                return
        of_name[new.window] = new
        if old is None or (old.used, old.reset) != (new.used, new.reset):
            self.changes.note(name)


def _used(window: Window) -> float | None:
    if window.used_percent is not None:
        return window.used_percent
    if window.remaining is None or not window.limit:
        return None
    return 100.0 * (1.0 - window.remaining / window.limit)


_LENGTH = re.compile(r"(?:^|[-_])(?:(\d{1,3})([hdw])|(weekly|week|daily|monthly|month))(?![a-z0-9])")
_HOURS = {"h": 1, "d": 24, "w": 168, "week": 168, "weekly": 168, "daily": 24, "month": 720, "monthly": 720}


def minutes_of(name: str) -> int | None:
    """The length that a window's name tells (`unified-5h`, `7d_opus`)."""
    found = _LENGTH.search(name)
    if found is None:
        return None
    return 60 * (int(found[1]) * _HOURS[found[2]] if found[1] else _HOURS[found[3]])


_NO_MODEL = re.compile(r"\d+[hdw]|unified|primary|secondary|week|weekly|daily|month|monthly")


def _model_words(name: str) -> tuple[str, ...]:
    """`unified-7d_opus` -> ("opus",). A code name that no model's name holds then concerns nobody, which is safe."""
    words = [word for word in re.split(r"[-_]", name.lower()) if word and not _NO_MODEL.fullmatch(word)]
    return tuple(words) or (name,)
