"""When a request leaves a provider: what its attempts say about that, and what waiting would bring."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from mitm_balancer.core.health import Health
from mitm_balancer.core.order import Order
from mitm_balancer.core.verdict import Outcome

PROVIDER_FAULTS = 2
"""Server failures of one provider before another one is asked: a fault may pass, another model stays for the turn."""

WORTH_WAITING = 5.0
"""Seconds that a request would rather wait for its own provider than be served by another one's model."""

type Attempts = Sequence[tuple[str, Outcome]]
"""(account, how it ended), in order."""


def faulty(attempts: Attempts) -> str | None:
    """The account whose server has just failed; None: the last attempt ended otherwise, or there was none."""
    return attempts[-1][0] if attempts and attempts[-1][1].server_failure else None


def warmest(attempts: Attempts, tried: Mapping[str, int]) -> str:
    """The account that this request would rather stay on: the first that failed by the provider's fault. There is one.
    `tried`: how often each was."""
    failed = [name for name, outcome in attempts if outcome.server_failure]
    return next((name for name in failed if tried[name] < 2), failed[-1])


def behind(order: Order, attempts: Attempts) -> Order | None:
    """The providers behind the one that has just failed once too often; None: it has not, or there are none."""
    name = faulty(attempts)
    if name is None:
        return None
    failed = _provider(order, name)
    faults = sum(_provider(order, n) == failed for n, outcome in attempts if outcome.server_failure)
    return order.beyond(name) if faults >= PROVIDER_FAULTS else None


def soonest(
    order: Order, model: str, health: Health, now: float, without: Container[str], *, cooling: bool = False
) -> float | None:
    """Seconds until the first target that waiting brings back; None: waiting helps nobody. `cooling`: only those whose
    provider told when."""
    blocks = (order.blocked(target, model, health, now) for target in order.targets if target.name not in without)
    ends = (b.until for b in blocks if b and b.until is not None and b.waitable and not (cooling and b.breaker))
    return min((max(0.0, until - now) for until in ends), default=None)


def _provider(order: Order, name: str) -> str:
    target = order.find(name)
    return "" if target is None else target.provider
