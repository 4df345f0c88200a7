"""One account of an order, as if there were no other: what a pin leaves (`core.pins`)."""

from __future__ import annotations

from collections.abc import Collection

from mitm_balancer.core.health import Block, Health
from mitm_balancer.core.order import Order
from mitm_balancer.core.priority import Rejected, Selection
from mitm_balancer.core.switching import Tied
from mitm_balancer.core.target import TargetInfo


class Only(Order):
    """`name` may be unknown to `order`: then nobody serves."""

    def __init__(self, order: Order, name: str, because: str) -> None:
        target = order.find(name)
        self.targets = () if target is None else (target,)
        self.around = order.around
        self._order, self._because = order, because

    def select(
        self, model: str, health: Health, now: float, *,
        without: Collection[str] = (), bound: str | None = None, tied: Tied | None = None,  # noqa: ARG002
    ) -> Selection:  # fmt: skip
        """It, if it can; an open breaker of ours does not keep it, for there is nobody else."""
        if not self.targets or self.targets[0].name in without:
            return Selection(None, ())
        target = self.targets[0]
        # A pinned session is one that it has: a drained account finishes those.
        block = self._order.blocked(target, model, health, now, bound=True)
        if block is None or block.breaker:
            if block is not None and self.around.known.load.at_limit(target.name):
                return Selection(None, (), busy=(target.name,))
            return Selection(target, (), self._because)
        return Selection(None, (Rejected(target.name, block),), busy=(target.name,) if block.busy else ())

    def find(self, name: str) -> TargetInfo | None:
        return next((target for target in self.targets if target.name == name), None)

    def preferred(self) -> TargetInfo | None:
        """Also where it cools: its own answer is the truth."""
        states = self.around.states
        able = (t for t in self.targets if t.enabled and not t.usable and not states.of(t.name, t.provider))
        return next(able, None)

    def taken(self, name: str) -> None:
        self._order.taken(name)

    def served(self, name: str, model: str = "", health: Health | None = None, now: float = 0.0) -> None:
        """Who had to serve says nothing about who serves next."""

    def blocked(
        self, target: TargetInfo, model: str, health: Health, now: float, *, bound: bool = False
    ) -> Block | None:
        return self._order.blocked(target, model, health, now, bound=bound)

    def model_of(self, name: str, model: str) -> str:
        return self._order.model_of(name, model)
