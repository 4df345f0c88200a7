"""Several providers in a row, for one request: its own first, then those that may stand in for it (issue 4.4).

Inside a provider its own strategy decides. The next one is asked only when the one before has nobody who could serve:
a slot that is busy is no reason to leave a provider, for it comes free soon and another model would serve.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from mitm_balancer.core.health import Block, Health
from mitm_balancer.core.order import Order
from mitm_balancer.core.priority import REJECTED_KEPT, Circumstances, Rejected, Selection
from mitm_balancer.core.switching import Tied
from mitm_balancer.core.target import TargetInfo


@dataclass(frozen=True, slots=True)
class Link:
    """One provider of the row."""

    order: Order
    model: str | None = None
    """What this provider calls the model; None: what the client calls it."""
    bound: str | None = None
    """The account that served this conversation here; None: as the request's own session says."""
    because: str = ""
    """Said of a choice made here; empty: what the strategy says."""

    def word(self, model: str) -> str:
        return model if self.model is None else self.model


@dataclass(frozen=True, slots=True)
class _All:
    """The targets of all links. Made for every request, and rarely looked at: nothing is copied."""

    links: tuple[Link, ...]

    def __iter__(self) -> Iterator[TargetInfo]:
        return (target for link in self.links for target in link.order.targets)


class Chain(Order):
    """`links` may be empty: then nobody serves."""

    def __init__(self, links: Sequence[Link], around: Circumstances) -> None:
        self.links = tuple(links)
        self.around = around
        self.targets = _All(self.links)

    def select(
        self, model: str, health: Health, now: float, *,
        without: Collection[str] = (), bound: str | None = None, tied: Tied | None = None,
    ) -> Selection:  # fmt: skip
        """The first provider's choice. One that its breaker holds back serves only when nobody is left anywhere."""
        rejected: list[Rejected] = []
        last_resort: Selection | None = None
        for link in self.links:
            home, prices = (bound, tied) if link.bound is None else (link.bound, None)
            found = link.order.select(link.word(model), health, now, without=without, bound=home, tied=prices)
            if found.busy or (found.chosen is not None and not found.last_resort):
                return replace(
                    found,
                    rejected=tuple(rejected + list(found.rejected))[:REJECTED_KEPT],
                    because=link.because or found.because,
                )
            rejected += found.rejected
            last_resort = last_resort or (found if found.chosen is not None else None)
        if last_resort is not None:
            return replace(last_resort, rejected=tuple(rejected)[:REJECTED_KEPT])
        return Selection(None, tuple(rejected)[:REJECTED_KEPT])

    def find(self, name: str) -> TargetInfo | None:
        link = self._link(name)
        return None if link is None else link.order.find(name)

    def preferred(self) -> TargetInfo | None:
        return self.links[0].order.preferred() if self.links else None

    def taken(self, name: str) -> None:
        if (link := self._link(name)) is not None:
            link.order.taken(name)

    def served(self, name: str, model: str = "", health: Health | None = None, now: float = 0.0) -> None:
        if (link := self._link(name)) is not None:
            link.order.served(name, link.word(model), health, now)

    def blocked(
        self, target: TargetInfo, model: str, health: Health, now: float, *, bound: bool = False
    ) -> Block | None:
        link = self._link(target.name)
        assert link is not None, "a target of this chain"
        return link.order.blocked(target, link.word(model), health, now, bound=bound)

    def takes_over(self, name: str, model: str, *, failover: bool) -> bool:
        link = self._link(name)
        return link is not None and link.order.takes_over(name, link.word(model), failover=failover)

    def model_of(self, name: str, model: str) -> str:
        link = self._link(name)
        return model if link is None else link.word(model)

    def near(self, name: str) -> Order:
        return Chain(self.links[: self._place(name) + 1], self.around)

    def beyond(self, name: str) -> Order | None:
        rest = self.links[self._place(name) + 1 :]
        return Chain(rest, self.around) if rest else None

    def before(self, name: str) -> Order | None:
        place = self._place(name)
        return Chain(self.links[:place], self.around) if place else None

    def _link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.order.find(name) is not None), None)

    def _place(self, name: str) -> int:
        return next((n for n, link in enumerate(self.links) if link.order.find(name) is not None), 0)
