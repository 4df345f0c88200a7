"""Randomness comes in from outside, so that a simulation can repeat itself."""

from __future__ import annotations

from typing import Protocol


class Rng(Protocol):
    """What the core asks of `random.Random`."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between the two."""
        ...

    def random(self) -> float:
        """A number in [0, 1)."""
        ...
