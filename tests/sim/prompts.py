"""What conversations weigh, and what the prompt caches of a provider truly hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

LIFE = 300.0
"""Seconds since its last use for which a provider keeps a prompt."""

SYSTEM = 12_000
LARGEST = 150_000
COMPACTED = 25_000
"""Tokens: how a conversation begins, when an agent sums it up, and what is left then."""

CACHED = 0.1
"""What a token costs that is read from a cache (wire-facts 23: a tenth)."""

ANY_WAY = 0.4
PER_UNIT = 20_000
"""A request costs this much of a unit, and one more for each 20,000 fresh tokens."""


@dataclass(slots=True)
class Conversation:
    """One session's, as it grows."""

    tokens: int = SYSTEM

    def grows(self, rng: Random) -> int:
        """The next request's prompt."""
        self.tokens += int(rng.lognormvariate(7.6, 0.8))
        if self.tokens > LARGEST:
            self.tokens = COMPACTED
        return self.tokens


@dataclass(slots=True)
class PromptCaches:
    """Of one provider: (session, model) -> account -> tokens and when they were used last."""

    _held: dict[tuple[int, str], dict[str, tuple[int, float]]] = field(default_factory=dict)

    def warm(self, account: str, session: int, model: str, prompt: int, now: float) -> int:
        """Tokens of this prompt that the account has there."""
        tokens, at = self._held.get((session, model), {}).get(account, (0, 0.0))
        return min(tokens, prompt) if now - at < LIFE else 0

    def best(self, session: int, model: str, prompt: int, now: float) -> int:
        """The most that any account has there."""
        held = self._held.get((session, model), ())
        return max((self.warm(account, session, model, prompt, now) for account in held), default=0)

    def keep(self, account: str, session: int, model: str, prompt: int, now: float) -> None:
        self._held.setdefault((session, model), {})[account] = (prompt, now)


def weight(prompt: int, warm: int) -> float:
    """What a request costs, in units of its model. Without a prompt: one."""
    return 1.0 if not prompt else ANY_WAY + (prompt - warm + CACHED * warm) / PER_UNIT
