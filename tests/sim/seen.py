"""One request as an observer sees it: what was done, what came of it in truth."""

from __future__ import annotations

from dataclasses import dataclass, field

from mitm_balancer.core.dispatch import DispatchPolicy
from mitm_balancer.core.priority import Priority
from mitm_balancer.core.verdict import Outcome
from sim.plan import DEFINITE, SERVER_SIDE, Kind, Plan


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt that has ended before commit, or by it."""

    account: str
    kind: Kind
    plan: Plan
    outcome: Outcome

    @property
    def definite(self) -> bool:
        return self.kind in DEFINITE

    @property
    def server_side(self) -> bool:
        return self.kind in SERVER_SIDE

    @property
    def unanswered(self) -> bool:
        """The provider worked on it, and no answer came back: it may be billed (P5)."""
        return self.plan.worked and self.kind is not Kind.OK


@dataclass(slots=True)
class Seen:
    """Times are true seconds."""

    number: int
    provider: str
    model: str
    started: float
    policy: DispatchPolicy
    priority: Priority
    tries: list[Try] = field(default_factory=list)
    paused: bool = False
    """Since the last attempt."""
    since_pause: set[str] = field(default_factory=set)
    """Accounts tried since the last pause."""
    pauses: int = 0
    """In a row."""
    queued: bool = False
    """For a slot, since the last attempt: the world has changed since the decision."""
    held: float = 0.0
    backed_off: float = 0.0
    current: str | None = None
    provider_wide: bool = False
    """At the end of the last attempt it was the provider, as everybody can see who knows all failures (P3)."""
    server_extras: int = 0
    home: str | None = None
    """The account of its session when the last step was decided."""
    committed: bool = False

    @property
    def accounts(self) -> list[str]:
        return [t.account for t in self.tries]
