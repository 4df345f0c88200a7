"""The window of capture: a setting of the store that the CLI writes, and that a running proxy obeys."""

from __future__ import annotations

SETTING = "capture"
"""Its key; the value is `{"until": unix seconds}`."""


def until_of(setting: object) -> float:
    """When the window closes, unix seconds; 0 for never opened."""
    until = setting.get("until") if isinstance(setting, dict) else None
    return float(until) if isinstance(until, int | float) else 0.0
