"""What `balancer usage` shows: a bar for each account, its windows with their resets, credits, and who said so when."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mitm_balancer.cli.bars import bar
from mitm_balancer.cli.output import coloured
from mitm_balancer.cli.picture import AccountPicture
from mitm_balancer.cli.status_usage import PollPicture, UsagePicture, WindowPicture, counted, window_label
from mitm_balancer.core.durations import countdown
from mitm_balancer.core.evidence import Evidence
from mitm_balancer.providers.limits import is_of_model, is_quiet
from mitm_balancer.providers.model import Provider
from mitm_balancer.usage.polls.registry import poll_of, reason

VERSION = 1
"""Of the JSON: grows when a field is renamed or removed, not when one is added."""

LABEL = 34
"""Columns that an account's label has at the least; a longer one is cut in its middle (behaviour spec 6.5)."""

NAME = 20
"""Columns of a window's name."""

GREEN, YELLOW, RED, GREY = 32, 33, 31, 90

_WIDE = 100
"""Columns from which bars are twice as long (the seed's border of its compact layout)."""

_MOST_MODELS = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """The terminal."""

    width: int = 80

    @property
    def bar(self) -> int:
        return 16 if self.width >= _WIDE else 8


def cut(text: str, width: int = LABEL) -> str:
    """Cut in the middle: of 34 columns the left 17 and the right 16 stay, around `…`."""
    if len(text) <= width:
        return text
    right = (width - 1) // 2
    return f"{text[: width - 1 - right]}…{text[-right:]}"


def label(usage: UsagePicture) -> str:
    """In the seed's words: what was used and what is left, the plan; or why nothing is known."""
    poll = usage.poll
    if poll is None or poll.confidence != "exact":
        if any(window.source == "header" for window in usage.windows):
            return "from its answers"
        return "usage unavailable" if poll is None else poll.message
    counts = next((w for w in usage.windows if w.source == "poll" and w.remaining is not None and w.limit), None)
    parts = []
    if counts is not None and counts.remaining is not None and counts.limit is not None:
        parts += [f"used {number(max(0.0, counts.limit - counts.remaining))}", f"remaining {number(counts.remaining)}"]
    return " · ".join([*parts, *([poll.plan] if poll.plan else [])]) or poll.message


def overall(usage: UsagePicture, provider: Provider | None, now: float) -> float | None:
    """Percent used of the account's tightest quota, by the rules that the balancer itself decides by; None: unknown."""
    evidence = Evidence()

    def of_model(name: str) -> bool:
        return provider is not None and is_of_model(provider, name)

    for window in usage.windows:
        if provider is None or not is_quiet(provider, window.name):
            evidence.stated("", [_Stated(window)], window.seen_at, of_model=of_model)
    left = evidence.outlook("", "", now).left
    return None if left is None else 100.0 - left


def lines(
    accounts: Sequence[AccountPicture], providers: dict[str, Provider], now: float, frame: Frame
) -> Iterator[str]:
    """For people; none is longer than the frame."""
    width = max(len(account.name) for account in accounts)
    for place, account in enumerate(accounts):
        if place:
            yield ""
        provider = account.name.partition("/")[0]
        used = overall(account.usage, providers.get(provider), now)
        state = "" if account.state == "ready" else f"  {account.state}"
        whole = label(account.usage)
        told = cut(whole, max(LABEL, frame.width - width - frame.bar - 9 - len(state)))
        yield f"{account.name.ljust(width)}  {_bar(used, frame)}  {told}{state}".rstrip()
        for left, right in _details(account, provider, now, frame, cut_label=told != whole):
            yield _row(left, right, frame)


def _details(
    account: AccountPicture, provider: str, now: float, frame: Frame, *, cut_label: bool
) -> Iterator[tuple[str, str]]:
    usage = account.usage
    for window in usage.windows:
        yield _window(window, frame), _source(window.source, now - window.seen_at)
    if usage.poll is not None:
        age = now - usage.poll.fetched_at
        for amount in usage.poll.amounts if usage.poll.confidence == "exact" else ():
            yield f"{_name(str(amount.get('name', '')))}  {amount_text(amount)}", _source("poll", age)
        if cut_label or (usage.poll.confidence != "exact" and label(usage) != usage.poll.message):
            yield f"{_name('asked')}  {usage.poll.message}", _source("poll", age)
        if usage.poll.error and usage.poll.error not in usage.poll.message:
            yield f"{_name('error')}  {usage.poll.error}", ""
    elif poll_of(provider) is None:
        yield f"{_name('asked')}  {reason(provider)}", ""
    for cooldown in account.cooldowns:
        what = f"{cooldown.model}: " if cooldown.model else ""
        yield f"{_name('refused')}  {what}{cooldown.reason}, back in {countdown(cooldown.seconds)}", ""
    if account.problem:
        yield f"{_name('problem')}  {account.problem}", ""
    if usage.today.answers:
        yield f"{_name('today')}  {counted(usage.today)}", ""


def _window(window: WindowPicture, frame: Frame) -> str:
    text = f"{_name(window_label(window))}  {_bar(window.used_percent, frame)}"
    left = ""
    if window.remaining is not None and window.limit and (frame.width >= _WIDE or window.resets_in is None):
        left = f"{number(window.remaining)} of {number(window.limit)} left"
    if window.resets_in is not None:
        return f"{text}  {left}{', ' if left else ''}resets in {countdown(window.resets_in)}"
    if window.reset_at is not None:
        return f"{text}  has reset since"
    return f"{text}  {left or (window.status if window.used_percent is None else '')}".rstrip()


def _row(left: str, right: str, frame: Frame) -> str:
    """`right` stands at the right edge of the first line; a `left` that is too long goes on below itself."""
    indent, room = NAME + 2, frame.width - 2
    # Bars are coloured: their row is never too long, and never wrapped.
    if seen(left) + (len(right) + 2 if right else 0) <= room:
        return f"  {left}{' ' * (room - seen(left) - len(right))}{right}".rstrip()
    first = room - indent - (len(right) + 2 if right else 0)
    words = textwrap.wrap(left[indent:], first) or [""]
    rest = textwrap.wrap(" ".join(words[1:]), room - indent)
    head = f"  {left[:indent]}{words[0].ljust(first)}  {right}".rstrip()
    return "\n".join([head, *(" " * (indent + 2) + part for part in rest)])


def seen(text: str) -> int:
    """Columns of a text: escape codes have none."""
    return len(re.sub(r"\x1b\[\d+m", "", text))


def _name(name: str) -> str:
    return cut(name, NAME).ljust(NAME)


def _bar(used: float | None, frame: Frame) -> str:
    """Always as wide as a full one, so that what follows stands in a column."""
    text = bar(used, frame.bar).ljust(frame.bar + 5)
    if used is None:
        return coloured(text, GREY)
    return coloured(text, RED if used >= 90 else YELLOW if used >= 70 else GREEN)


def _source(source: str, age: float) -> str:
    return f"{source}, {countdown(max(0.0, age))} ago"


def amount_text(amount: dict[str, Any]) -> str:
    """`30.50 of 40.00 USD used, 9.50 left`; what is not stated is left out."""
    if amount.get("unlimited"):
        return "unlimited"
    unit = str(amount.get("unit") or "")
    money = len(unit) == 3 and unit.isupper()

    def shown(value: Any) -> str:
        return f"{value:.2f}" if money else number(float(value))

    used, left, limit = amount.get("used"), amount.get("remaining"), amount.get("limit")
    tail = f" {unit}" if unit else ""
    if used is None:
        return "" if left is None else f"{shown(left)}{tail} left"
    text = f"{shown(used)} of {shown(limit)}{tail} used" if limit is not None else f"{shown(used)}{tail} used"
    return text if left is None else f"{text}, {shown(left)} left"


def number(value: float) -> str:
    """`7`, `7.5`, `12.3k`, `1.2M`."""
    for size, unit in ((1_000_000.0, "M"), (10_000.0, "k")):
        if abs(value) >= size:
            return f"{value / (size if unit == 'M' else 1000):.1f}{unit}"
    return f"{value:.2f}".rstrip("0").rstrip(".")


def as_json(account: AccountPicture, providers: dict[str, Provider], now: float) -> dict[str, Any]:
    """One account, for programs."""
    provider = account.name.partition("/")[0]
    used = overall(account.usage, providers.get(provider), now)
    poll: PollPicture | None = account.usage.poll
    told = asdict(poll or PollPicture(0.0, "unavailable", "", _why(provider), "", (), 0.0))
    if poll is None:
        told["fetched_at"] = None
    return {
        "name": account.name,
        "state": account.state,
        "used_percent": None if used is None else round(used, 1),
        "label": label(account.usage),
        "plan": poll.plan if poll is not None else "",
        "windows": [asdict(window) for window in account.usage.windows],
        "poll": {"supported": poll_of(provider) is not None} | told,
        "refused": [asdict(cooldown) for cooldown in account.cooldowns],
        "today": asdict(account.usage.today),
        "models": {model: asdict(tokens) for model, tokens in account.usage.models.items()},
    }


def _why(provider: str) -> str:
    return reason(provider) if poll_of(provider) is None else "not asked yet"


class _Stated:
    """A window of the picture as the evidence wants it: its wait counts from when it was seen."""

    __slots__ = ("limit", "minutes", "name", "remaining", "used_percent", "wait")

    def __init__(self, window: WindowPicture) -> None:
        self.name, self.minutes = window.name, window.minutes
        self.used_percent, self.remaining, self.limit = window.used_percent, window.remaining, window.limit
        self.wait = None if window.reset_at is None else window.reset_at - window.seen_at
