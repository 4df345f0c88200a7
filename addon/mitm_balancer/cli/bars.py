"""Bars of usage, in the seed's format: `███░░░░░ 42%`, and `──────── --` where nothing is known."""

from __future__ import annotations

import math

FULL, EMPTY, UNKNOWN = "█", "░", "─"


def bar(percent: float | None, width: int = 8) -> str:
    """The bar and its number. `percent` is what is used; whatever is beyond 0 to 100 is taken as its nearest end."""
    if percent is None:
        return f"{UNKNOWN * width} --"
    return f"{blocks(percent, width)} {rounded(percent)}%"


def blocks(percent: float | None, width: int = 8) -> str:
    """The bar alone: always `width` characters. The smallest use shows."""
    if percent is None:
        return UNKNOWN * width
    filled = math.ceil(rounded(percent) / 100 * width)
    return FULL * filled + EMPTY * (width - filled)


def rounded(percent: float) -> int:
    """Half up, as people expect; Python's `round` goes to the even one."""
    return max(0, min(100, math.floor(percent + 0.5)))
