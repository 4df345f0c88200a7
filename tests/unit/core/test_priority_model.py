"""The kept order against one that is worked out anew: every strategy, random changes, random times."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from dispatch_world import NO_MODEL, OK, START, TRANSIENT, limited
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from test_evidence import Window

from mitm_balancer.core.changes import Changes
from mitm_balancer.core.evidence import Source
from mitm_balancer.core.health import Block, Health
from mitm_balancer.core.operator import States
from mitm_balancer.core.priority import Circumstances, Priority, Selection
from mitm_balancer.core.strategies import BY_NAME, Known
from mitm_balancer.core.target import TargetInfo
from mitm_balancer.core.verdict import Outcome, Scope

NAMES = [f"p/{letter}" for letter in "abcdef"]
MODELS = ("x", "y", "")
NAME = st.sampled_from(NAMES)
MODEL = st.sampled_from(MODELS)


class Loads:
    """Running attempts that the test sets."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.now: dict[str, int] = {}

    def running(self, name: str) -> int:
        return self.now.get(name, 0)

    def at_limit(self, name: str) -> bool:
        return self.running(name) >= 3


@dataclass(frozen=True)
class Prices:
    """A session's."""

    tokens: int
    boundary: bool

    def cold_tokens(self, account: str, now: float) -> int:
        return self.tokens

    def between_turns(self) -> bool:
        return self.boundary


class Kept(RuleBasedStateMachine):
    """The naive model is a `Priority` made this moment, with nothing kept: it judges and ranks everything."""

    @initialize(strategy=st.sampled_from(sorted(BY_NAME)), seed=st.integers(0, 99))
    def begin(self, strategy: str, seed: int) -> None:
        rng = random.Random(seed)
        self.targets = [
            TargetInfo(name, "p", rng.choice([("*",), ("x",)]), rng.random() > 0.1, priority=rng.choice([0, 0, 1]))
            for name in NAMES
        ]
        self.targets.sort(key=lambda target: target.priority)
        self.loads = Loads()
        self.health = Health(rng)
        self.around = Circumstances(Known(load=self.loads, leave_at=rng.choice([0, 60])), States())
        self.name = strategy
        self.priority = Priority(self.targets, strategy, self.around)
        self.now = START

    @rule(
        name=NAME,
        model=MODEL,
        outcome=st.sampled_from([OK, TRANSIENT, TRANSIENT, limited(20), limited(7, Scope.MODEL), NO_MODEL]),
        times=st.integers(1, 6),
    )
    def attempts_end(self, name: str, model: str, outcome: Outcome, times: int) -> None:
        for _ in range(times):
            self.health.record(name, model, outcome, self.now)
            self.around.known.vitals.ended(name, model, outcome, 1.0, self.now)

    @rule(name=NAME)
    def attempt_begins(self, name: str) -> None:
        self.health.chosen(name)
        self.priority.taken(name)

    @rule(name=NAME)
    def client_leaves(self, name: str) -> None:
        self.health.cancelled(name)

    @rule(name=NAME, model=MODEL)
    def serves(self, name: str, model: str) -> None:
        before = self.priority.in_use
        self.priority.served(name, model, self.health, self.now)
        after = self.priority.in_use
        others = before.keys() - {model, ""}
        assert {m: before[m] for m in others} == {m: after[m] for m in others if m in after}, "other models keep theirs"
        assert self.priority.active_for(model) in (name, before.get(model, before.get("")))

    @rule(name=NAME, running=st.integers(0, 3))
    def load(self, name: str, running: int) -> None:
        self.loads.now[name] = running
        self.loads.changes.note(name)

    @rule(
        name=NAME, window=st.sampled_from(["5h", "7d"]), used=st.integers(0, 100), wait=st.sampled_from([9, 900, None])
    )
    def quota(self, name: str, window: str, used: int, wait: float | None) -> None:
        self.around.known.evidence.stated(name, [Window(window, used, wait)], self.now, Source.HEADER)

    @rule(name=st.sampled_from([*NAMES, "p"]), word=st.sampled_from(["paused", "drained", "disabled", ""]))
    def operator(self, name: str, word: str) -> None:
        self.around.states.take({name: {word: True}} if word else {})

    @rule(name=NAME)
    def operator_clears(self, name: str) -> None:
        self.health.clear(name)

    @rule(seconds=st.sampled_from([0.0, 1.0, 7.0, 20.0, 31.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(strategy=st.sampled_from(sorted(BY_NAME)))
    def reload(self, strategy: str) -> None:
        old, self.name = self.priority, strategy
        self.priority = Priority(self.targets, strategy, self.around)
        self.priority.adopt(old)

    @rule(
        model=MODEL,
        without=st.sets(NAME, max_size=3),
        bound=st.none() | NAME,
        tied=st.none() | st.builds(Prices, st.sampled_from([0, 10_000, 200_000]), st.booleans()),
    )
    def decides(self, model: str, without: set[str], bound: str | None, tied: Prices | None) -> None:
        found = self.priority.select(model, self.health, self.now, without=without, bound=bound, tied=tied)
        fresh = Priority(self.targets, self.name, self.around)
        fresh.adopt(self.priority)
        if self.name != "score":  # a score is worked out anew when something happens and every half a minute
            assert found == fresh.select(model, self.health, self.now, without=without, bound=bound, tied=tied)
        self.check(found, model, without, bound)
        self.check_switch(found, model, bound, tied)

    def check(self, found: Selection, model: str, without: set[str], bound: str | None) -> None:
        """A pick never violates eligibility, and nobody is missed."""

        def block(target: TargetInfo, *, of_session: bool = False) -> object:
            return self.priority.blocked(target, model, self.health, self.now, bound=of_session)

        free = [t for t in self.targets if t.name not in without and block(t) is None]
        chosen = found.chosen
        if chosen is None:
            assert not free
            assert set(found.busy) <= set(NAMES) - without
        else:
            assert chosen.name not in without
            why = self.priority.blocked(chosen, model, self.health, self.now, bound=chosen.name == bound)
            assert why is None or (why.breaker and not free), "only an open breaker, and only as the last one"
        for rejected in found.rejected:
            target = next(t for t in self.targets if t.name == rejected.name)
            assert rejected.block == (block(target) or self.spared(target, model))
        if chosen is not None and chosen.name != bound and self.spared(chosen, model) is not None:
            # Of the same rank: the rest of a quota goes before an account of a higher number.
            ranked = self.priority.strategy.tiered
            same = [t for t in free if not ranked or t.priority <= chosen.priority]
            assert all(self.spared(t, model) for t in same), "nearly used up, although another one is ready"

    def spared(self, target: TargetInfo, model: str) -> Block | None:
        """Leave-before-empty, worked out anew."""
        known = self.around.known
        outlook = known.evidence.outlook(target.name, model, self.now)
        if not known.leave_at or outlook.left is None or 100 - outlook.left < known.leave_at:
            return None
        until = outlook.until if outlook.until < math.inf else None
        return Block(f"{100 - outlook.left:.0f} % used, kept for its sessions", until)

    def check_switch(self, found: Selection, model: str, bound: str | None, tied: Prices | None) -> None:
        """A session whose account can serve is moved only between turns and when it is cheap."""
        switch = found.switch
        if switch is None:
            return
        assert tied is not None
        assert found.chosen is not None
        assert (switch.source, switch.target) == (bound, found.chosen.name)
        assert tied.boundary
        assert switch.cold_tokens == tied.tokens <= 100_000, "nothing is worth more"
        home = next(t for t in self.targets if t.name == bound)
        assert self.priority.blocked(home, model, self.health, self.now) is None
        assert self.spared(home, model) or self.name in ("headroom", "soonest-reset", "score")

    @invariant()
    def all_models_agree_on_what_is_ready(self) -> None:
        if hasattr(self, "priority"):
            for lane in self.priority._lanes.values():
                lane.refresh(self.now)
                sizes = len(lane.ready) + len(lane.reserve) + len(lane.suspended) + len(lane.benched)
                assert sizes == len(NAMES), "everybody is in exactly one ranking"


Kept.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestKept = Kept.TestCase
