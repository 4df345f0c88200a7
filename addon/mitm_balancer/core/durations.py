"""Times as people read them."""

from __future__ import annotations


def countdown(seconds: float) -> str:
    """`42 s`, `12 min`, `3 h 05 min`, `4 d 02 h`: short, rounded up, never less than the truth by more than a unit."""
    whole = max(0, int(-(-seconds // 1)))
    if whole < 90:
        return f"{whole} s"
    minutes = -(-whole // 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = -(-minutes // 60)
    return f"{hours // 24} d {hours % 24:02} h"
