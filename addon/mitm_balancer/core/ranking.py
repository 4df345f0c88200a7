"""Numbers in ascending order of a key.

One sorted list: finding a place takes O(log n) comparisons, and the shift that follows is a single memmove (a few
microseconds at 10,000), which in Python beats every balanced tree; walking in order is walking a list.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

type Key = tuple[float, ...]


class Ranking:
    """Of equal keys the lower number goes first."""

    __slots__ = ("_keys", "_rows")

    def __init__(self) -> None:
        self._rows: list[tuple[Key, int]] = []
        self._keys: dict[int, Key] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, number: int) -> bool:
        return number in self._keys

    def put(self, number: int, key: Key) -> None:
        """Insert, or move."""
        old = self._keys.get(number)
        if old == key:
            return
        if old is not None:
            self.drop(number)
        self._keys[number] = key
        insort(self._rows, (key, number))

    def drop(self, number: int) -> None:
        """Take out; nothing happens when it is not there."""
        key = self._keys.pop(number, None)
        if key is not None:
            del self._rows[bisect_left(self._rows, (key, number))]

    def key(self, number: int) -> Key:
        """The key of a number that is there."""
        return self._keys[number]

    def rows(self, start: Key = ()) -> Iterator[tuple[Key, int]]:
        """In order, from the first key that is not below `start`, then round to those before it."""
        if not start:
            yield from self._rows
            return
        begin = bisect_left(self._rows, (start, -1))
        for at in range(begin, len(self._rows)):
            yield self._rows[at]
        for at in range(begin):
            yield self._rows[at]
