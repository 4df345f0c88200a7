"""How long a stream may stay silent after its head: `first_token_timeout_ms: auto`, learnt per model.

A reasoning model may think for minutes and a chat model may not, so nobody's number fits all. What was seen decides: a
limit exists only after enough answers of that model, and is far beyond the slowest of them.
"""

from __future__ import annotations

from dataclasses import dataclass

SAMPLES = 8
"""Answers before a limit is trusted; until then only `commit_hold_ms` bounds the wait."""

FACTOR = 4.0
MARGIN = 5.0
"""Limit = slowest seen (decaying) x 4 + 5 s: prompts differ by an order of magnitude in length."""

FLOOR = 10.0
"""Seconds below which no model is called silent."""

DECAY = 0.98
"""Per answer: the slowest fades over some fifty answers, so one bad afternoon is forgotten."""

MAX_MODELS = 512


@dataclass(slots=True)
class _Seen:
    count: int = 0
    slowest: float = 0.0


class Patience:
    """Times to the first meaningful event, per (provider, model). Seconds."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}

    def observe(self, provider: str, model: str, seconds: float) -> None:
        """A stream said its first meaningful thing after this time from its head."""
        if len(self._seen) >= MAX_MODELS and (provider, model) not in self._seen:
            self._seen.pop(next(iter(self._seen)))
        seen = self._seen.setdefault((provider, model), _Seen())
        seen.count += 1
        seen.slowest = max(seconds, seen.slowest * DECAY)

    def limit(self, provider: str, model: str) -> float | None:
        """Seconds after which this model's silence is a failure; None: not known well enough."""
        seen = self._seen.get((provider, model))
        if seen is None or seen.count < SAMPLES:
            return None
        return max(FLOOR, seen.slowest * FACTOR + MARGIN)
