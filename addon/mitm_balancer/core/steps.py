"""What the dispatcher can tell its driver, and the policy that it works by."""

from __future__ import annotations

from dataclasses import dataclass

from mitm_balancer.core.rng import Rng
from mitm_balancer.core.target import TargetInfo


@dataclass(frozen=True, slots=True)
class DispatchPolicy:
    """Seconds and counts, from the contract's `policy`."""

    max_attempts: int = 10
    failover_budget: int = 9
    """Accounts that one request may move on to."""
    deadline: float = 900.0
    hold: float = 20.0
    retry_ambiguous: bool = True
    failover: bool = True
    """False: `balancing: false`, the active account's credential is applied and that is all."""
    backoff_base: float = 0.25
    backoff_multiplier: float = 2.0
    backoff_max: float = 5.0
    jitter: bool = True

    def backoff(self, failures: int, rng: Rng) -> float:
        """Seconds before the same account is asked again, after so many server failures of one request."""
        ceiling = min(self.backoff_base * self.backoff_multiplier ** max(0, failures - 1), self.backoff_max)
        return rng.uniform(0, ceiling) if self.jitter else ceiling


@dataclass(frozen=True, slots=True)
class Attempt:
    """Send it with this target."""

    target: TargetInfo
    number: int
    because: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, then ask again."""

    seconds: float
    because: str
    holding: bool = False
    """Until somebody is back: `Dispatch.somebody_is_back` tells when that is sooner, by an operator's word."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Wait to be woken; ask again after that many seconds in any case."""

    seconds: float
    because: str
    for_slot: bool = True
    """False: for something else, so it needs no place in the queue."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Its login was refused: get it a new credential, then tell with `renewed`."""

    target: TargetInfo


@dataclass(frozen=True, slots=True)
class Stop:
    """No further attempt."""

    because: str
    exhausted: bool = False
    """Every target is cooling or was refused: the answer is ours (P11)."""
    empty: bool = False
    """There is no target that waiting could bring back: the client's own request goes through (P10)."""
    wait: float | None = None
    """Exhausted: seconds until the soonest target may serve."""
    overloaded: bool = False
    """Too much runs already, and the queue is full or was too slow."""


type Step = Attempt | Pause | Queue | Renew | Stop
