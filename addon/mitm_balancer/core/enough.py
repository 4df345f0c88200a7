"""When a request has had enough attempts (P1, P2, P5)."""

from __future__ import annotations

from collections.abc import Collection

from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.leaving import Attempts
from mitm_balancer.core.steps import DispatchPolicy
from mitm_balancer.core.verdict import Outcome

SERVER_EXTRA = 2
"""Extra attempts after server failures (P1)."""


def enough(policy: DispatchPolicy, attempts: Attempts, extra: int, elapsed: float) -> str | None:
    """Why there is none after the last one; None: there may be. `extra`: those that have followed server failures."""
    _, outcome = attempts[-1]
    if outcome.ok:
        return "served"
    if not policy.failover:
        return "balancing is off"
    if not outcome.redispatch:
        return f"{outcome.verdict.value} is not cured by another account"
    if len(attempts) >= policy.max_attempts:
        return "max_attempts reached"
    if elapsed >= policy.deadline:
        return "deadline reached"
    if outcome.server_failure and extra >= SERVER_EXTRA:
        return "server failures: extra attempts used up"
    unanswered = sum(ended.ambiguous for _, ended in attempts)
    if outcome.ambiguous and (not policy.retry_ambiguous or unanswered > 1):
        return "may have been billed: not sent again"
    return None


def unpaid(
    policy: DispatchPolicy, name: str, tried: Collection[str], last: Outcome, budget: RetryBudget, now: float
) -> str | None:
    """Why there is none with that account after `last`; None: there may be, and it is paid for.

    Definite refusals walk the pool for free (P2); `failover_budget` bounds the walk.
    """
    if name not in tried and len(tried) > policy.failover_budget:
        return "failover_budget reached"
    # A connection that could not be made costs the provider nothing.
    free = last.definite_refusal or last.unreached
    return None if free or budget.withdraw(now) else "retry budget empty"
