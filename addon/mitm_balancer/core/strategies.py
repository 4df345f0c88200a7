"""The strategies: each gives every target a key, and the lowest key serves.

    priority       the operator's order; stays while the account serves
    drain          one after the other; no hop back to an earlier one before the last one was left
    soonest-reset  what would be lost first is spent first: the weekly window, then the 5-hour one
    headroom       most quota left; leaves an account only for 15 points more; unknown comes last
    round-robin    the one that was used least recently
    weighted       in proportion to the weights (stride scheduling: shares are exact, nobody waits long)
    least-loaded   fewest running attempts for its weight
    score          o-switcher's formula: health - latency - failures + priority

Except for `score`, which weighs it, `priority` of an account comes first: a higher number is a reserve. All but the
three that spread stay on an account while it serves: an agent's prompt cache lives there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mitm_balancer.core.evidence import Evidence
from mitm_balancer.core.load import Load, NoLoad
from mitm_balancer.core.ranking import Key
from mitm_balancer.core.target import TargetInfo
from mitm_balancer.core.vitals import Vitals

HEADROOM_MARGIN = 15.0
"""Points of quota that a switch must gain (issue 4): less is not worth a cold prompt cache."""

RESET_MARGIN = 600.0
"""Seconds by which another window must reset sooner; stated resets wobble by a second or so."""

POINT_WORTH = 1000
RESET_WORTH = 20_000
SCORE_WORTH = 100_000
"""Tokens of cold cache that it is worth to move a bound session: per point of quota that is left there; for quota that
would be lost; per 1.0 of score. So an advantage that is just beyond its margin moves small prompts, and those whose
cache is cold anyhow."""

SCORE_MARGIN = 0.05
SCORE_REFRESH = 30.0
"""Seconds after which a score is worked out again, because the past has faded."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The contract's `routing_weights`."""

    health: float = 1.0
    latency: float = 0.5
    failure: float = 0.8
    priority: float = 0.3
    max_latency: float = 30.0
    """Seconds that count as the worst (`max_expected_latency_ms`)."""


@dataclass(frozen=True, slots=True)
class Known:
    """All that a strategy may look at beside the target itself."""

    evidence: Evidence = field(default_factory=Evidence)
    vitals: Vitals = field(default_factory=Vitals)
    load: Load = field(default_factory=NoLoad)
    weights: Weights = Weights()
    leave_at: float = 0.0
    """Percent used of its tightest quota window from which an account is a reserve for new sessions; 0: never."""

    def nearly_used_up(self, name: str, model: str, now: float) -> tuple[float | None, float]:
        """The percent used, if that is beyond `leave_at`, else None; and until when this is true by itself."""
        if not self.leave_at:
            return None, math.inf
        outlook = self.evidence.outlook(name, model, now)
        used = None if outlook.left is None else 100.0 - outlook.left
        return (used if used is not None and used >= self.leave_at else None), outlook.until


class Strategy:
    """The base, and `priority` itself."""

    name = "priority"
    because = "operator order"
    tiered = True
    """The operator's `priority` comes first; else it is only weighed."""
    spreads = False
    """New sessions go round; otherwise they join the account that serves."""
    circular = False
    """The order begins at the account that served last and goes round."""

    def __init__(self, targets: Sequence[TargetInfo], known: Known) -> None:
        self.targets, self.known = targets, known

    def key(self, index: int, model: str, now: float) -> tuple[Key, float]:  # noqa: ARG002
        """The target's place, and until when it is true if nothing is noted before."""
        return (float(index),), math.inf

    def stays(self, active: Key, best: Key) -> bool:  # noqa: ARG002
        """Whether the account in use is kept although another one is ahead."""
        return True

    def worth(self, home: Key, best: Key) -> int:  # noqa: ARG002
        """Tokens of cold cache that it is worth to move a session from `home` to `best`, which is ahead."""
        return 0

    def taken(self, index: int) -> bool:  # noqa: ARG002
        """An attempt goes there. Tells whether its key is another one now."""
        return False

    def adopt(self, old: Strategy) -> None:
        """Go on where the one before a reload stopped; it has the same name."""


class Drain(Strategy):
    """Its place is the operator's; the walk begins at the account in use."""

    name = "drain"
    because = "next in line"
    circular = True


class SoonestReset(Strategy):
    """Unknown resets come last."""

    name = "soonest-reset"
    because = "its quota resets first"

    def key(self, index: int, model: str, now: float) -> tuple[Key, float]:
        target = self.targets[index]
        outlook = self.known.evidence.outlook(target.name, model, now)
        return (target.priority, outlook.long_reset, outlook.short_reset, index), outlook.until

    def stays(self, active: Key, best: Key) -> bool:
        if active[0] != best[0]:
            return False
        if active[1] == best[1] or active[1] - best[1] < RESET_MARGIN:
            return active[2] == best[2] or active[2] - best[2] < RESET_MARGIN
        return False

    def worth(self, home: Key, best: Key) -> int:  # noqa: ARG002
        return RESET_WORTH


class Headroom(Strategy):
    """By the tightest window that concerns the model."""

    name = "headroom"
    because = "most quota left"

    def key(self, index: int, model: str, now: float) -> tuple[Key, float]:
        target = self.targets[index]
        outlook = self.known.evidence.outlook(target.name, model, now)
        left = -1.0 if outlook.left is None else outlook.left
        return (target.priority, -left, index), outlook.until

    def stays(self, active: Key, best: Key) -> bool:
        if active[0] != best[0]:
            return False
        if active[1] > 0:  # not known: any account of which something is known is no better guess
            return True
        return active[1] - best[1] < HEADROOM_MARGIN

    def worth(self, home: Key, best: Key) -> int:
        return int(POINT_WORTH * max(0.0, home[1] - best[1]))


class RoundRobin(Strategy):
    """One that was out for long is next, once."""

    name = "round-robin"
    because = "its turn"
    spreads = True

    def __init__(self, targets: Sequence[TargetInfo], known: Known) -> None:
        super().__init__(targets, known)
        self._turn = 0
        self._last: dict[str, int] = {}

    def key(self, index: int, model: str, now: float) -> tuple[Key, float]:  # noqa: ARG002
        target = self.targets[index]
        return (target.priority, self._last.get(target.name, 0), index), math.inf

    def taken(self, index: int) -> bool:
        self._turn += 1
        self._last[self.targets[index].name] = self._turn
        return True

    def adopt(self, old: Strategy) -> None:
        if isinstance(old, RoundRobin):
            self._turn, self._last = old._turn, old._last


class Weighted(Strategy):
    """Each attempt moves a target on by 1/weight; the one that is furthest behind is next."""

    name = "weighted"
    because = "its share"
    spreads = True

    def __init__(self, targets: Sequence[TargetInfo], known: Known) -> None:
        super().__init__(targets, known)
        self._next: dict[str, float] = {}
        self._furthest = 0.0
        self._credit = 2 / min((target.weight for target in targets), default=1.0)

    def key(self, index: int, model: str, now: float) -> tuple[Key, float]:  # noqa: ARG002
        target = self.targets[index]
        return (target.priority, self._next.get(target.name, 1 / target.weight), index), math.inf

    def taken(self, index: int) -> bool:
        target = self.targets[index]
        # One that was out for long catches up a little, not all: it must not be stampeded.
        mine = max(self._next.get(target.name, 1 / target.weight), self._furthest - self._credit) + 1 / target.weight
        self._next[target.name] = mine
        self._furthest = max(self._furthest, mine)
        return True

    def adopt(self, old: Strategy) -> None:
        if isinstance(old, Weighted):
            self._next, self._furthest = old._next, old._furthest


class LeastLoaded(Strategy):
    """Among equals the one that was used least recently."""

    name = "least-loaded"
    because = "least loaded"
    spreads = True

    def __init__(self, targets: Sequence[TargetInfo], known: Known) -> None:
        super().__init__(targets, known)
        self._turns = RoundRobin(targets, known)

    def key(self, index: int, model: str, now: float) -> tuple[Key, float]:
        target = self.targets[index]
        turn, _ = self._turns.key(index, model, now)
        return (target.priority, self.known.load.running(target.name) / target.weight, *turn[1:]), math.inf

    def taken(self, index: int) -> bool:
        return self._turns.taken(index)

    def adopt(self, old: Strategy) -> None:
        if isinstance(old, LeastLoaded):
            self._turns.adopt(old._turns)


class Score(Strategy):
    """Each part is 0 to 1, times its weight; latency is measured against `max_expected_latency_ms`."""

    name = "score"
    tiered = False
    because = "best score"

    def __init__(self, targets: Sequence[TargetInfo], known: Known) -> None:
        super().__init__(targets, known)
        ranks = sorted({target.priority for target in targets})
        self._share = {rank: 1 - at / max(1, len(ranks) - 1) for at, rank in enumerate(ranks)}

    def key(self, index: int, model: str, now: float) -> tuple[Key, float]:
        name, vitals, weights = self.targets[index].name, self.known.vitals, self.known.weights
        health, failure = vitals.health(name, now), vitals.failure(name, now)
        latency = min(1.0, (vitals.latency(name, model) or 0.0) / weights.max_latency)
        score = (
            weights.health * health
            - weights.latency * latency
            - weights.failure * failure
            + weights.priority * self._share[self.targets[index].priority]
        )
        at_rest = health > 0.999 and failure < 0.001
        return (-round(score, 6), index), math.inf if at_rest else now + SCORE_REFRESH

    def stays(self, active: Key, best: Key) -> bool:
        return active[0] - best[0] < SCORE_MARGIN

    def worth(self, home: Key, best: Key) -> int:
        return int(SCORE_WORTH * (home[0] - best[0]))


type MakeStrategy = Callable[[Sequence[TargetInfo], Known], Strategy]

BY_NAME: dict[str, MakeStrategy] = {
    made.name: made for made in (Strategy, Drain, SoonestReset, Headroom, RoundRobin, Weighted, LeastLoaded, Score)
}
