"""What all polls read alike: numbers, times and percents, by the rules of the behaviour spec (4.1, 4.3)."""

from __future__ import annotations

import math
from typing import Any

from mitm_balancer.core import resets
from mitm_balancer.providers.limits import Window

_MILLIS = 1e12
"""Above it a time is milliseconds, else seconds (behaviour spec 4.1)."""


def number(value: Any) -> float | None:
    """A finite JSON number, or one written as a string; None for anything else."""
    if isinstance(value, str):
        return resets.number(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def reset(value: Any) -> float | None:
    """A reset time as unix seconds: a number (seconds, or above 1e12 milliseconds) or RFC 3339; never negative."""
    found = number(value)
    if found is None:
        return resets.stamp(value) if isinstance(value, str) else None
    if found < 0:
        return None
    return found / 1000 if found > _MILLIS else found


def percent(used: float | None, counted: float | None, left: float | None) -> float | None:
    """Percent used: as stated, else of what was counted and what is left, else unknown (behaviour spec 4.3)."""
    if used is not None:
        return used
    if counted is None or left is None or counted + left <= 0:
        return None
    return 100.0 * counted / (counted + left)


def part(value: Any, *names: str) -> dict[str, Any]:
    """The object below these keys, one inside the other; {} when there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; [] for anything else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def word(value: Any) -> str:
    """A short printable text, or ""."""
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return "".join(char for char in text if char.isprintable())[:80]


def worth_keeping(window: Window) -> bool:
    """Whether it says anything at all."""
    return any(value is not None for value in (window.used_percent, window.remaining, window.wait)) or bool(
        window.status
    )
