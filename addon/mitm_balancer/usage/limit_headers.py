"""Which headers of an answer speak of limits: known by name after the first time, so that looking costs little."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

type RawHeaders = Sequence[tuple[bytes, bytes]]

MOST_NAMES = 2000
"""Names that one filter remembers; a provider that invents a new one with each answer is looked at afresh."""


class _Filter(dict[bytes, str]):
    """Raw name -> lower-case name of a limit header, or "" for any other."""

    def __init__(self, limits: tuple[str, ...]) -> None:
        super().__init__()
        self._patterns = [re.compile(limit) for limit in limits]

    def __missing__(self, raw: bytes) -> str:
        name = raw.decode("latin-1").strip().lower()
        found = name if any(pattern.fullmatch(name) for pattern in self._patterns) else ""
        if len(self) < MOST_NAMES:
            self[raw] = found
        return found


@functools.lru_cache(maxsize=256)
def _filter(limits: tuple[str, ...]) -> _Filter:
    return _Filter(limits)


def limit_headers(limits: tuple[str, ...], headers: RawHeaders) -> dict[str, str]:
    """The headers that these patterns (`Provider.limits`) know, with the `date` by which their times count.

    Empty when there are none. Of repeated ones the first counts, as everywhere.
    """
    if not limits:
        return {}
    known = _filter(limits)
    found: dict[str, str] = {}
    for raw, value in headers:
        if (name := known[raw]) and name not in found:
            found[name] = value.decode("latin-1").strip()
    if found:
        found["date"] = next((value.decode("latin-1") for raw, value in headers if raw.lower() == b"date"), "")
    return found
