"""What it costs to move a session to another account, and when that is worth it.

The price is the prompt cache: what the session's last prompts hold there is read again in full by the account that
takes over. It is nothing once the cache is cold anyhow. Each reason to move is worth some tokens; a session moves when
the price is not above that, and only between two turns: in the middle of one, the account may hold more than a cache
(signatures of reasoning, wire-facts 25.1). Whoever cannot serve is left at any price. Monotonic seconds; tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

CACHE_LIFE = 300.0
"""Seconds for which a prompt cache is warm after its last use: Anthropic's default, and the least of OpenAI's."""

LONG_LIFE = 3600.0
"""Where the request asks for it (`"ttl": "1h"`)."""

FADE = 0.8
"""Of a larger prompt seen before, per answer: child agents share their parent's name and ask small things in between,
and a conversation that was compacted is forgotten within ten answers."""

MODELS_KEPT = 4
"""Per session: an agent has one large model and one or two small ones."""

LEAVE_WORTH = 30_000
"""An account that is nearly used up will have to be left anyhow, and then perhaps in the middle of a turn. A longer
prompt stays until its cache is cold or the account is empty: what is left there may be enough for it."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A request that another account serves than its session's."""

    source: str
    target: str
    why: str
    cold_tokens: int
    """Of a prompt cache that was warm and is not used."""

    def as_record(self) -> dict[str, str | int]:
        """For the trace."""
        return {"from": self.source, "to": self.target, "why": self.why, "cold_tokens": self.cold_tokens}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a session would be better off elsewhere, although its account can serve."""

    text: str
    worth: int
    """Tokens."""


class Tied(Protocol):
    """What a decision asks about a session (`session.Tie` is one)."""

    def cold_tokens(self, account: str, now: float) -> int:
        """What would have to be read again if it left that account now."""
        ...

    def between_turns(self) -> bool:
        """Whether the request begins a turn. May be costly: asked last."""
        ...


def worth_it(reason: Reason | None, tied: Tied, account: str, now: float) -> bool:
    """Whether a session leaves an account that can serve it."""
    if reason is None or reason.worth <= 0:
        return False
    return tied.cold_tokens(account, now) <= reason.worth and tied.between_turns()


@dataclass(frozen=True, slots=True)
class _Cache:
    account: str
    tokens: int
    at: float
    life: float

    def warm(self, account: str, now: float) -> int:
        return self.tokens if account == self.account and now - self.at < self.life else 0


class Caches:
    """What the prompt caches hold of one session, per model: each model has a cache of its own."""

    __slots__ = ("_of_model",)

    def __init__(self) -> None:
        self._of_model: dict[str, _Cache] = {}

    def used(self, account: str, model: str, prompt: int, life: float, now: float) -> None:
        """An answer whose prompt had that many tokens, from a cache or not."""
        old = self._of_model.pop(model, None)
        before = 0 if old is None else old.warm(account, now)
        self._of_model[model] = _Cache(account, max(prompt, int(before * FADE)), now, life)
        if len(self._of_model) > MODELS_KEPT:
            del self._of_model[next(iter(self._of_model))]

    def warm(self, account: str, now: float) -> int:
        """Tokens that are warm there, of all models: a session moves as a whole."""
        return sum(cache.warm(account, now) for cache in self._of_model.values())
