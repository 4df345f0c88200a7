"""The words of the fault matrix: what goes wrong with the first account, and what must hold then."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from e2e.helpers import GEMINI, SPEECHES, Speech
from mitm_balancer.testing import Step

STREAM, WHOLE = True, False


class Seen(enum.Enum):
    """What the client gets."""

    ANSWER = "a complete answer"
    REFUSAL = "the provider's own refusal, byte for byte"
    ERROR_EVENT = "what had come, then the dialect's own error event"
    BROKEN = "what had come, then a broken connection"
    OWN = "an error of the balancer's, in the provider's shape"
    AS_SENT = "byte for byte what the provider sent"


class After(enum.Enum):
    """The first account, for the next request."""

    READY = "ready"
    COOLING = "cooling"
    MODEL_OUT = "out for this model, ready for others"


class Setting(enum.Enum):
    """The `policy` of a proxy. Milliseconds; what is not named is the default of the contract."""

    PLAIN = "defaults"
    TIMED = "short time-outs"
    HELD = "short commit_hold_ms"

    def policy(self, *, retry_ambiguous: bool = True) -> dict[str, Any]:
        """`hold_ms: 0`: what cools is told at once, so that the matrix can ask."""
        plain = {"hold_ms": 0, "backoff": {"base_ms": 20, "jitter": "none"}, "retry_ambiguous": retry_ambiguous}
        match self:
            case Setting.PLAIN:
                return plain
            case Setting.TIMED:
                short = ("first_byte_timeout_ms", "response_timeout_ms", "first_token_timeout_ms", "idle_timeout_ms")
                return plain | dict.fromkeys(short, TIME_OUT_MS)
            case Setting.HELD:
                return plain | {"first_token_timeout_ms": 0, "commit_hold_ms": HOLD_MS}


TIME_OUT_MS = 2000
"""Long enough for a healthy answer on a busy machine."""
HOLD_MS = 300


@dataclass(frozen=True, slots=True)
class Row:
    """One fault of the first account. The second account is well, unless `also` says what it does first."""

    name: str
    fault: str
    """For people."""
    step: Step
    seen: Seen = Seen.ANSWER
    status: int | None = 200
    """What the client reads; None: the provider's own, whichever that is in the dialect."""
    account: str = "second"
    """Who serves: `first`, `second` or `none`."""
    attempts: int = 2
    after: After = After.READY
    after_gemini: After | None = None
    """Where it is another one there: Google's limits are per model."""
    ambiguous: bool = False
    """The first account may have worked on the request: sent again, it may be billed twice (P5)."""
    setting: Setting = Setting.PLAIN
    forms: tuple[bool, ...] = (STREAM, WHOLE)
    speeches: tuple[Speech, ...] = SPEECHES
    repeat: int = 1
    """How often the first account does it."""
    also: Step | None = None
    request_bytes: int = 0
    """Pad the request to this size."""
    labelled: bool = True
    """The answer names its account in its text."""
    head_within: float | None = None
    """Seconds in which the client must have the head, long before there is content."""

    def after_in(self, speech: Speech) -> After:
        """How the first account is in this dialect."""
        return self.after_gemini if self.after_gemini and speech is GEMINI else self.after

    @property
    def accepted(self) -> int:
        """Generations that the provider accepts for one request, at most (P5)."""
        return 2 if self.ambiguous else 1
