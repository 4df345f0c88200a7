"""What `status` shows of an account's usage: tokens since midnight, and how full its limit windows are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mitm_balancer.core import evidence
from mitm_balancer.store import UsageRow, WindowRow
from mitm_balancer.store.snapshots import SnapshotRow

OLD = 600.0
"""Seconds after which the age of the windows is told: nobody asked the provider since."""

MOST_SHOWN = 6
"""Windows in the text; all are in the JSON."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counted alike for all providers: `input` includes what came from or went into a cache, `output` reasoning."""

    answers: int = 0
    unmetered: int = 0
    """Answers that did not tell their tokens."""
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.answers + other.answers,
            self.unmetered + other.unmetered,
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True)
class WindowPicture:
    """A limit window. What the provider does not state is None; once its reset has passed, its use is unknown."""

    name: str
    used_percent: float | None
    remaining: float | None
    limit: float | None
    status: str
    minutes: int | None
    """Its length."""
    resets_in: float | None
    """Seconds."""
    reset_at: float | None
    seen_at: float
    source: str = "header"
    """`header` of an answer, or `poll`."""


@dataclass(frozen=True, slots=True)
class PollPicture:
    """What the provider told when it was asked last; times are wall-clock seconds."""

    fetched_at: float
    confidence: str
    """`exact`, or `unavailable`: then `message` says why."""
    plan: str
    message: str
    error: str
    amounts: tuple[dict[str, Any], ...]
    """Credits and balances: name, used, remaining, limit, unit, unlimited."""
    next_at: float
    """It is not asked again before."""


@dataclass(frozen=True, slots=True)
class UsagePicture:
    """Of one account."""

    today: Tokens = Tokens()
    models: dict[str, Tokens] = field(default_factory=dict)
    """The same by model; "" is for requests that named none."""
    windows: tuple[WindowPicture, ...] = ()
    poll: PollPicture | None = None


def usage_pictures(
    usage: Iterable[UsageRow],
    windows: Iterable[WindowRow],
    now: float,
    snapshots: Mapping[str, SnapshotRow] | None = None,
) -> dict[str, UsagePicture]:
    """By account name; `now` is wall-clock seconds."""
    polls = {name: _poll(row) for name, row in (snapshots or {}).items()}
    models: dict[str, dict[str, Tokens]] = {}
    for row in usage:
        models.setdefault(row.account, {})[row.model] = Tokens(
            row.answers, row.unmetered, row.input, row.output, row.cache_read, row.cache_write, row.reasoning
        )
    seen: dict[str, list[WindowPicture]] = {}
    for window in windows:
        if not _is_gone(window, polls.get(window.account)):
            seen.setdefault(window.account, []).append(_window(window, now))
    return {
        name: UsagePicture(
            sum(models.get(name, {}).values(), Tokens()),
            models.get(name, {}),
            tuple(sorted(seen.get(name, ()), key=_short_first)),
            polls.get(name),
        )
        for name in {*models, *seen, *polls}
    }


def _poll(row: SnapshotRow) -> PollPicture:
    try:
        amounts = tuple(entry for entry in json.loads(row.amounts) if isinstance(entry, dict))
    except (ValueError, TypeError):
        amounts = ()
    return PollPicture(row.fetched_at, row.confidence, row.plan, row.message, row.error, amounts, row.next_at)


def _is_gone(window: WindowRow, poll: PollPicture | None) -> bool:
    """A later poll told all windows, and this one was not among them."""
    return (
        poll is not None and poll.confidence == "exact" and window.source == "poll" and window.seen_at < poll.fetched_at
    )


def _short_first(window: WindowPicture) -> tuple[float, str]:
    minutes = window.minutes or evidence.minutes_of(window.name)
    return minutes or float("inf"), window.name


def _window(row: WindowRow, now: float) -> WindowPicture:
    over = row.reset_at is not None and row.reset_at <= now
    used = row.used_percent
    if used is None and row.remaining is not None and row.allowed:
        used = 100 - 100 * row.remaining / row.allowed
    return WindowPicture(
        name=row.name,
        used_percent=None if over or used is None else round(used, 1),
        remaining=None if over else row.remaining,
        limit=row.allowed,
        status="" if over else row.status,
        minutes=row.minutes,
        resets_in=None if over or row.reset_at is None else round(row.reset_at - now, 1),
        reset_at=row.reset_at,
        seen_at=row.seen_at,
        source=row.source,
    )


def counted(tokens: Tokens) -> str:
    """`12 answers, tokens 3.4k in (80 % cached), 1.2k out`."""
    answers = f"{tokens.answers} answer{'s' if tokens.answers != 1 else ''}"
    if tokens.unmetered == tokens.answers:
        return f"{answers}, tokens not told"
    cached = f" ({100 * tokens.cache_read / tokens.input:.0f} % cached)" if tokens.cache_read and tokens.input else ""
    untold = f", {tokens.unmetered} of them not told" if tokens.unmetered else ""
    return f"{answers}, tokens {short(tokens.input)} in{cached}, {short(tokens.output)} out{untold}"


def fullest(windows: Sequence[WindowPicture]) -> list[WindowPicture]:
    """The fullest ones, in the provider's order."""
    kept = sorted(windows, key=lambda window: -(window.used_percent or 0))[:MOST_SHOWN]
    return [window for window in windows if window in kept]


def window_label(window: WindowPicture) -> str:
    """Short: `5h` for Anthropic's `unified-5h`; Codex names windows by rank, which does not tell their length."""
    name = window.name.removeprefix("unified-")
    if not window.minutes:
        return name
    hours = window.minutes / 60
    length = f"{hours / 24:g}d" if hours >= 48 else f"{hours:g}h"
    return re.sub(r"(primary|secondary)$", length, name)


def short(count: int) -> str:
    """`950`, `12.3k`, `1.2M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}" if count < 100 * size else f"{count / size:.0f}{unit}"
    return str(count)
