"""Limit windows for people: a bar for each, and when it is fresh again."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from mitm_balancer.cli.bars import bar
from mitm_balancer.cli.status_usage import MOST_SHOWN, OLD, UsagePicture, WindowPicture, fullest, window_label
from mitm_balancer.core.durations import countdown

FULL, FILLING = 90.0, 70.0
"""Percent from which a bar is red, and yellow."""


def limit_lines(usage: UsagePicture, now: float) -> Iterator[Text]:
    """The fullest windows, in the provider's order; `now` is wall-clock seconds."""
    shown = [w for w in usage.windows if w.used_percent is not None or w.resets_in is not None]
    chosen = fullest(shown)
    column = max((len(window_label(window)) for window in chosen), default=0)
    for window in chosen:
        yield _window(window, column)
    if len(shown) > MOST_SHOWN:
        yield Text(f"and {len(shown) - MOST_SHOWN} more", "bright_black")
    if shown and (age := now - max(window.seen_at for window in shown)) > OLD:
        yield Text(f"seen {countdown(age)} ago", "bright_black")


def _window(window: WindowPicture, column: int) -> Text:
    used = window.used_percent
    colour = "" if used is None else "red" if used >= FULL else "yellow" if used >= FILLING else "green"
    reset = "" if window.resets_in is None else f"resets in {countdown(window.resets_in)}"
    text = Text.assemble(
        f"{window_label(window):<{column}} ", (f"{bar(used):<13}", colour), "  ", (reset, "bright_black")
    )
    text.rstrip()
    return text
