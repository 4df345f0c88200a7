"""What the store gives back across its border."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CLOCK_WENT_BACK = 60.0
"""Seconds by which the wall clock may lag behind a stored time before we call it a jump (NTP steps are smaller)."""


@dataclass(frozen=True, slots=True)
class CooldownRow:
    """A cooldown as it survives a restart. `until` and `observed_at` are wall-clock seconds, `duration` is seconds."""

    name: str
    """provider/alias"""
    model: str
    """Empty: all models."""
    until: float
    observed_at: float
    duration: float
    reason: str
    strikes: int = 0


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something worth telling the operator; `at` is wall-clock seconds."""

    seq: int
    at: float
    type: str
    account: str
    message: str
    data: dict[str, object]
    origin: str = ""
    """Who has told it: `proxy`, or empty for a command."""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Tokens of one account with one model on one day (YYYY-MM-DD, local)."""

    day: str
    account: str
    model: str
    answers: int = 0
    unmetered: int = 0
    """Those of the answers that did not tell their tokens."""
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A limit window as the account last showed it; times are wall-clock seconds."""

    account: str
    name: str
    seen_at: float
    used_percent: float | None = None
    remaining: float | None = None
    allowed: float | None = None
    reset_at: float | None = None
    status: str = ""
    minutes: int | None = None
    """Its length, where the provider tells."""
    source: str = "header"
    """`header` of an answer, or `poll`."""


def remaining(row: CooldownRow, now: float) -> float:
    """Seconds that a stored cooldown still has to run at the wall-clock time `now`; never more than its duration.

    When the clock went back since it was stored, `until` means nothing and the duration counts in full.
    """
    if now < row.observed_at - CLOCK_WENT_BACK:
        return max(row.duration, 0.0)
    return max(min(row.until - now, row.duration), 0.0)


class KnownRows:
    """The stored cooldowns that this process has written or read: only the others can tell it something.

    It knows their ends by the monotonic clock. Read again, they would be measured by the wall clock, and one that was
    set back meanwhile would make them last longer, or bring back those that are over.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], CooldownRow] = {}

    def note(self, row: CooldownRow) -> None:
        """This process writes it."""
        self._rows[row.name, row.model] = row

    def forget(self, name: str) -> None:
        """Whatever is stored under that account's name from now on is news."""
        self._rows = {key: row for key, row in self._rows.items() if key[0] != name}

    def unknown(self, rows: Iterable[CooldownRow]) -> list[CooldownRow]:
        """Those that are news; they are known from now on."""
        found = [row for row in rows if self._rows.get((row.name, row.model)) != row]
        for row in found:
            self.note(row)
        return found
