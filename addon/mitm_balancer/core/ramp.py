"""Slow start: an account that takes over work gets it step by step.

When the account in use is left, everything that ran there wants to go to the next one in the same moment: a limit per
minute, or a server that has just come back, would not survive that. So it gets one request at once and one more each
quarter of a second; the others wait for their turn. Pure: monotonic seconds.
"""

from __future__ import annotations

STEP = 0.25
"""Seconds until one more request may run there (issue 4.5)."""


class Ramps:
    """Those that are under way. An account without one is bounded by its limit alone."""

    __slots__ = ("_began", "_first", "allowed")

    def __init__(self) -> None:
        self.allowed: dict[str, int] = {}
        """How many may run there at most, as of the last `climb`."""
        self._began: dict[str, float] = {}
        self._first: dict[str, int] = {}

    def begin(self, name: str, running: int, now: float) -> None:
        """It takes over now, while so many run there already. One that is under way goes on."""
        if name not in self.allowed:
            self._began[name], self._first[name] = now, running + 1
            self.allowed[name] = running + 1

    def end(self, name: str) -> None:
        """It is at its limit: there is nothing left to spare."""
        self.allowed.pop(name, None)

    def climb(self, now: float) -> bool:
        """Let time have its effect; whether somebody may take more than before."""
        higher = False
        for name, before in self.allowed.items():
            steps = max(0, int((now - self._began[name]) / STEP + 1e-6))
            self.allowed[name] = self._first[name] + steps
            higher |= self.allowed[name] > before
        return higher

    def next_step(self, now: float) -> float | None:
        """Seconds until somebody may take one more; None: no ramp is under way."""
        left = (STEP - max(0.0, now - self._began[name]) % STEP for name in self.allowed)
        return min(left, default=None)
