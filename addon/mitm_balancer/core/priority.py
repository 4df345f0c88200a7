"""The priority module: which targets may serve, and in what order.

Eligibility first, then the session's binding, then the strategy; each leaves a reason behind, so that `why` can tell
the story. An order is kept per model and brought up to date by what has changed, so a decision costs O(log n).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain

from mitm_balancer.core.changes import Changes
from mitm_balancer.core.health import Block, Health
from mitm_balancer.core.lane import Lane
from mitm_balancer.core.operator import States
from mitm_balancer.core.order import Order
from mitm_balancer.core.strategies import BY_NAME, Known, Strategy
from mitm_balancer.core.switching import Switch, Tied, worth_it
from mitm_balancer.core.target import TargetInfo, allows

__all__ = ["Priority", "Rejected", "Selection", "TargetInfo", "allows"]

NO_MARKS: Mapping[str, str] = {}

REJECTED_KEPT = 16
"""Passed-over targets that a decision tells of, the first in order: a story of 10,000 would be none."""

LANES_KEPT = 16
"""Models that an order is kept for; clients name models, so their number has to be bounded."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A target that may not serve, and why."""

    name: str
    block: Block


@dataclass(frozen=True, slots=True)
class Selection:
    """The target that serves next, and those that were passed over on the way to it."""

    chosen: TargetInfo | None
    rejected: tuple[Rejected, ...]
    because: str = ""
    busy: tuple[str, ...] = ()
    """Nobody was chosen, and these lack nothing but a free slot: the request may wait for one."""
    last_resort: bool = False
    """Our own breaker holds the chosen one back, and there is nobody else."""
    probed: bool = False
    """And a probe of it is under way, whose end will tell whether it works."""
    switch: Switch | None = None
    """Its session's account could serve; it moves all the same, because it is better off there."""


@dataclass(slots=True)
class Circumstances:
    """What one pool shares with the others."""

    known: Known = field(default_factory=Known)
    states: States = field(default_factory=States)


class Priority(Order):
    """Picks for one provider. `active` is the account in use, by which most strategies stay.

    A model for which that one is out, while it serves the others, has an account in use of its own.
    """

    def __init__(
        self, targets: Sequence[TargetInfo], strategy: str = "priority", around: Circumstances | None = None
    ) -> None:
        self.targets: Sequence[TargetInfo] = tuple(targets)
        self.around = around if around is not None else Circumstances()
        self.strategy: Strategy = BY_NAME[strategy](self.targets, self.around.known)
        self._active: str | None = None
        self._active_for: dict[str, str] = {}
        self._marks: dict[str, str] = {}
        self._numbers = {target.name: number for number, target in enumerate(self.targets)}
        self._own = Changes()
        self._lanes: dict[str, Lane] = {}
        self._health: Health | None = None

    def select(
        self, model: str, health: Health, now: float, *,
        without: Collection[str] = (), bound: str | None = None, tied: Tied | None = None,
    ) -> Selection:  # fmt: skip
        """The best eligible target outside `without`; `bound` is the account that the session is tied to.

        With `tied`, the session's prices, it may be moved although that one can serve.
        """
        lane = self._lane(model, health)
        lane.refresh(now)
        names = self.targets
        # Usually empty or a handful; numbers are what the lane works with.
        out = {self._numbers[name] for name in without if name in self._numbers} if without else ()
        home = self._numbers.get(bound) if bound is not None else None
        if home is not None and home not in out and self._serves_bound(lane, home, now):
            return self._moved(lane, home, out, tied, now) or Selection(names[home], (), "its session is there")
        active = self._number(self.active_for(model))
        picked = lane.pick(active, out)
        if picked is not None:
            number, stays = picked
            before = None if stays else number
            rejected = self._rejected(lane, out, before, (home, None if self.strategy.spreads else active))
            because = "stays" if stays else self.strategy.because
            return Selection(names[number], () if stays and home is None else rejected, because)
        return self._nobody_ready(lane, out)

    def find(self, name: str) -> TargetInfo | None:
        """The target of that name."""
        number = self._numbers.get(name)
        return None if number is None else self.targets[number]

    def preferred(self) -> TargetInfo | None:
        """The account that it stays on, else the first in operator order that could ever serve."""
        active = self.find(self.active) if self.active is not None else None
        states = self.around.states
        order = chain(() if active is None else (active,), self.targets)
        return next((t for t in order if t.enabled and not t.usable and not states.of(t.name, t.provider)), None)

    def taken(self, name: str) -> None:
        """An attempt goes to `name`."""
        number = self._numbers.get(name)
        if number is not None and self.strategy.taken(number):
            self._own.note(name)

    @property
    def active(self) -> str | None:
        """The account in use, of all models that have none of their own."""
        return self._active

    @active.setter
    def active(self, name: str | None) -> None:
        """The operator's word: it holds for all models."""
        self._active = name
        self._active_for.clear()

    def active_for(self, model: str) -> str | None:
        """The account in use for that model."""
        return self._active_for.get(model, self.active)

    @property
    def in_use(self) -> dict[str, str]:
        """The accounts in use, for `restore`: "" is the one for all models, the others are exceptions."""
        return self._active_for | ({"": self.active} if self.active is not None else {})

    def restore(self, in_use: Mapping[str, str], marks: Mapping[str, str] = NO_MARKS) -> None:
        """Go on with these (see `in_use`), but for those that the operator has since put another one ahead of."""
        for model, name in in_use.items():
            if name not in self._numbers or marks.get(name, self.mark(name)) != self.mark(name):
                continue
            if model:
                self._active_for[model] = name
            else:
                self._active = name

    def mark(self, name: str) -> str:
        """Tells whether the same ones stand ahead of an account as before; short, to be kept."""
        if (known := self._marks.get(name)) is None:
            known = blake2b("\n".join(self._ahead(name)).encode(), digest_size=8).hexdigest()
            self._marks[name] = known
        return known

    def _ahead(self, name: str) -> list[str]:
        return [target.name for target in self.targets[: self._numbers.get(name, 0)]]

    def rename(self, old: str, new: str) -> None:
        """An account in use has another name now; whoever adopts this one's state goes on with that."""
        self._active = new if self._active == old else self._active
        self._active_for = {model: new if name == old else name for model, name in self._active_for.items()}

    def served(self, name: str, model: str = "", health: Health | None = None, now: float = 0.0) -> None:
        """`name` answered: stay on it, unless the account in use was only busy or failed but once."""
        if name not in self._numbers or name == self.active_for(model):
            return
        if health is not None and self._still_in_use(model, health, now):
            return
        if name == self.active:
            del self._active_for[model]
        elif model and health is not None and self._still_in_use("", health, now):
            self._active_for[model] = name
            if len(self._active_for) > LANES_KEPT:
                del self._active_for[next(iter(self._active_for))]
        else:
            self._active = name
            self._active_for.pop(model, None)

    def takes_over(self, name: str, model: str, *, failover: bool) -> bool:
        active = self.active_for(model)
        changes = failover if active is None else active != name
        if not changes or self.strategy.spreads or name not in self._numbers:
            return False
        return active is None or not self.around.known.load.at_limit(active)  # else it has enough, and is not left

    def adopt(self, old: Priority | None) -> None:
        """Go on where the one before a reload stopped: the active account if it is still there and nobody was put ahead
        of it, turns and shares."""
        if old is None:
            return
        moved = {name: "" for name in old.in_use.values() if not set(self._ahead(name)) <= set(old._ahead(name))}
        self.restore(old.in_use, moved)
        if old.strategy.name == self.strategy.name:
            self.strategy.adopt(old.strategy)

    def blocked(
        self, target: TargetInfo, model: str, health: Health, now: float, *, bound: bool = False
    ) -> Block | None:
        """Why this target may not serve now; None when it may. `bound`: it has the session that asks."""
        if not target.enabled:
            return Block("disabled", None)
        if target.usable:
            return Block(target.usable, None)
        if not allows(target.models, model):
            return Block(f"does not serve {model}", None)
        state = self.around.states.of(target.name, target.provider)
        if state and not (bound and state == "drained"):
            return Block(f"{state} by the operator", None)
        block = health.blocked(target.name, model, now)
        if block is None and self.around.known.load.at_limit(target.name):
            return Block("at its concurrency limit", None, busy=True)
        return block

    # -- inside -------------------------------------------------------------------------------------------------

    def _number(self, name: str | None) -> int | None:
        return None if name is None else self._numbers.get(name)

    def _moved(self, lane: Lane, home: int, out: Container[int], tied: Tied | None, now: float) -> Selection | None:
        """A session that is better off elsewhere, and whose move is cheap enough; None: it stays."""
        better = None if tied is None else lane.better(home, out)
        source = self.targets[home]
        if better is None or tied is None or not worth_it(better[1], tied, source.name, now):
            return None
        target, reason = self.targets[better[0]], better[1]
        spared = lane.spared(home)
        rejected = () if spared is None else (Rejected(source.name, spared),)
        switch = Switch(source.name, target.name, reason.text, tied.cold_tokens(source.name, now))
        return Selection(target, rejected, f"better than {source.name}: {reason.text}", switch=switch)

    def _still_in_use(self, model: str, health: Health, now: float) -> bool:
        """Whether the account in use would be chosen again."""
        active = self._number(self.active_for(model))
        if active is None:
            return False
        lane = self._lane(model, health)
        lane.refresh(now)
        block = lane.block(active)
        return block.busy if block is not None else lane.pick(active, ()) == (active, True)

    def _lane(self, model: str, health: Health) -> Lane:
        if health is not self._health:
            self._health, self._lanes = health, {}
        lane = self._lanes.get(model)
        if lane is None:
            if len(self._lanes) >= LANES_KEPT:
                del self._lanes[next(iter(self._lanes))]

            def judge(number: int, model: str, now: float) -> Block | None:
                return self.blocked(self.targets[number], model, health, now)

            lane = self._lanes[model] = Lane(model, self.strategy, judge, self._numbers, self._journals(health))
        return lane

    def _journals(self, health: Health) -> list[Changes]:
        known = self.around.known
        all_of_them = (
            self._own, health.changes, self.around.states.changes,
            known.evidence.changes, known.vitals.changes, known.load.changes,
        )  # fmt: skip
        return list({id(journal): journal for journal in all_of_them}.values())

    def _serves_bound(self, lane: Lane, home: int, now: float) -> bool:
        if lane.block(home) is None:
            return True
        assert self._health is not None
        return self.blocked(self.targets[home], lane.model, self._health, now, bound=True) is None

    def _rejected(
        self, lane: Lane, out: Container[int], before: int | None, also: Iterable[int | None]
    ) -> tuple[Rejected, ...]:
        """Those ahead of `before`, and of the ones that were wanted first (`also`) those that cannot serve."""
        blocks = dict(lane.blocked(REJECTED_KEPT, before)) if before is not None else {}
        wanted = {
            n: block for n in also
            if n is not None and n != before and (block := lane.block(n) or lane.spared(n)) is not None
        }  # fmt: skip
        return tuple(Rejected(self.targets[n].name, block) for n, block in (wanted | blocks).items() if n not in out)

    def _nobody_ready(self, lane: Lane, out: Container[int]) -> Selection:
        """Those at their limit are worth a wait. Else one with an open breaker: never eject the last one."""
        assert self._health is not None
        blocked = [(n, b) for n, b in lane.blocked(len(self.targets)) if n not in out]
        busy = tuple(self.targets[n].name for n, b in blocked if b.busy)
        ejected = [self.targets[n] for n, b in blocked if b.breaker]
        probed = {target.name for target in ejected if self._health.probed(target.name)}
        fallback = next((t for t in ejected if t.name not in probed), ejected[0] if ejected else None)
        if not busy and fallback is not None and self.around.known.load.at_limit(fallback.name):
            busy = (fallback.name,)
        chosen = None if busy else fallback
        rejected = [
            Rejected(self.targets[n].name, b) for n, b in blocked if chosen is None or self.targets[n] is not chosen
        ][:REJECTED_KEPT]
        if chosen is None:
            return Selection(None, tuple(rejected), "", busy)
        return Selection(chosen, tuple(rejected), "last one left", (), True, chosen.name in probed)
