"""A journal of names whose state has changed: whoever keeps an order reads on from where it stopped.

So a decision costs what has changed since the last one, not what there is.
"""

from __future__ import annotations

from collections.abc import Sequence

KEPT = 4096
"""Notes that are kept; a reader that is further behind looks at everything again."""


class Changes:
    """Append only; readers hold a position."""

    __slots__ = ("_first", "_log")

    def __init__(self) -> None:
        self._log: list[str] = []
        self._first = 0

    @property
    def position(self) -> int:
        """Where a reader stands that has seen everything."""
        return self._first + len(self._log)

    def note(self, name: str) -> None:
        """Something about that name may be different now."""
        self._log.append(name)
        if len(self._log) > KEPT:
            del self._log[: KEPT // 2]
            self._first += KEPT // 2

    def since(self, position: int) -> Sequence[str] | None:
        """The names noted from that position on, repeated ones too; None: too long ago."""
        return None if position < self._first else self._log[position - self._first :]
