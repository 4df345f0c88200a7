"""Checks for single values: each takes a YAML value and returns what the code works with, or raises `BadValueError`.

A check's text completes "expected ...": the reader of the message learns what to write, not what went wrong inside.
Values are quoted back only when they are short, because a credential may stand in any field by mistake (P7).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from mitm_balancer.config.nodes import BadValueError, Value

type Check[T] = Callable[[Value], T]

MAX_MS = 2**31 - 1
"""24 days: what fits every timer of the platforms we run on."""

NAME = re.compile(r"[a-z0-9._-]{1,64}")
"""Names of accounts and providers: they occur in headers, paths, metrics and on command lines."""


def text(value: Value) -> str:
    """A string that is not blank."""
    found = value.scalar()
    if not isinstance(found, str) or not found.strip():
        hint = " (put it in quotes)" if isinstance(found, bool | int | float) else ""
        raise BadValueError(f"expected a string, got {value.shown()}{hint}")
    return found


def name(value: Value) -> str:
    """An alias or a provider's name."""
    found = text(value)
    if not NAME.fullmatch(found):
        raise BadValueError(f"expected a-z 0-9 . _ -, got {value.shown()}")
    return found


def boolean(value: Value) -> bool:
    """true or false."""
    found = value.scalar()
    if not isinstance(found, bool):
        raise BadValueError(f"expected true or false, got {value.shown()}")
    return found


def whole(low: int | None = None, high: int | None = None) -> Check[int]:
    """An integer within the bounds, both inclusive."""

    def check(value: Value) -> int:
        found = value.scalar()
        if isinstance(found, bool) or not isinstance(found, int) or not _within(found, low, high):
            raise BadValueError(f"expected a whole number{_bounds(low, high)}, got {value.shown()}")
        return found

    return check


def number(low: float | None = None, high: float | None = None, *, above: float | None = None) -> Check[float]:
    """A finite number; `above` is an exclusive lower bound."""

    def check(value: Value) -> float:
        found = value.scalar()
        if isinstance(found, bool) or not isinstance(found, int | float) or not _finite(found):
            raise BadValueError(f"expected a number{_bounds(low, high, above)}, got {value.shown()}")
        if not _within(found, low, high) or (above is not None and found <= above):
            raise BadValueError(f"expected a number{_bounds(low, high, above)}, got {value.shown()}")
        return float(found)

    return check


milliseconds = whole(0, MAX_MS)


def one_of(*words: str) -> Check[str]:
    """One of a few words."""

    def check(value: Value) -> str:
        found = value.scalar()
        if found not in words or not isinstance(found, str):
            raise BadValueError(f"expected one of {', '.join(words)}, got {value.shown()}{value.suggest(words)}")
        return found

    return check


def auto_or(word: str, check: Check[int]) -> Check[int | None]:
    """`word` (which gives None) or what `check` takes."""

    def either(value: Value) -> int | None:
        if value.scalar() == word:
            return None
        try:
            return check(value)
        except BadValueError as bad:
            raise BadValueError(str(bad).replace("expected ", f"expected {word} or ", 1)) from None

    return either


def optional[T](check: Check[T]) -> Check[T | None]:
    """null, or what `check` takes."""
    return lambda value: None if value.is_null else check(value)


def many[T](check: Check[T], *, least: int = 0) -> Check[tuple[T, ...]]:
    """A list; every entry is checked, and a bad one is reported with its own line."""

    def each(value: Value) -> tuple[T, ...]:
        entries = value.items()
        if len(entries) < least:
            raise BadValueError(f"expected a list of at least {least}, got {value.shown()}")
        return tuple(found for entry in entries if (found := entry.take(check)) is not None)

    return each


def _within(found: float, low: float | None, high: float | None) -> bool:
    return (low is None or found >= low) and (high is None or found <= high)


def _finite(found: float) -> bool:
    try:
        return math.isfinite(found)
    except OverflowError:
        return False


def _bounds(low: float | None, high: float | None, above: float | None = None) -> str:
    if above is not None:
        return f" above {above}"
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return "" if low is None else f" of at least {low}"
