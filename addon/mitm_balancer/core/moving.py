"""What a request means for its session: whether it has lost its account, and why it was served elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mitm_balancer.core.health import Health
from mitm_balancer.core.leaving import Attempts
from mitm_balancer.core.order import Order
from mitm_balancer.core.priority import Rejected
from mitm_balancer.core.session import Tie
from mitm_balancer.core.switching import Switch


def lost(tie: Tie, name: str, tried: Collection[str], order: Order, model: str, health: Health, now: float) -> bool:
    """Whether the session's account cannot serve, while `name` does: it failed this request, or it would be refused.
    Being busy is no reason to leave a prompt cache for good."""
    home = tie.home(now)
    target = None if home is None else order.find(home)
    if home is None or target is None or home == name or home in tried:
        return True
    block = order.blocked(target, model, health, now, bound=True)
    return block is not None and not block.busy


def forced(
    tie: Tie | None, home: str | None, name: str, attempts: Attempts, rejected: Iterable[Rejected], now: float
) -> Switch | None:
    """The switch that it is when `name` serves a session of `home`; None: it stays, or is new."""
    if tie is None or home is None or home == name:
        return None
    failed = next((outcome for tried, outcome in attempts if tried == home), None)
    block = next((r.block for r in rejected if r.name == home), None)
    why = failed.reason or failed.verdict.value if failed else block.reason if block else "it could not serve"
    return Switch(home, name, why, tie.cold_tokens(home, now))
