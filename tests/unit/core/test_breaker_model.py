"""The breakers against a naive model that keeps every event and reads them all again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from dispatch_world import AMBIGUOUS, CAPACITY, FAULT, OK, REFUSED, START, TRANSIENT
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mitm_balancer.core.breaker import FORGET, HEALTHY, SPREAD, BreakerPolicy
from mitm_balancer.core.health import PROOF, TOGETHER, Health
from mitm_balancer.core.verdict import Outcome

NAMES = ("a", "b", "c")
NAME = st.sampled_from(NAMES)
POLICY = BreakerPolicy(failure_threshold=4, sliding_window_size=6, success_threshold=2)


@dataclass
class Account:
    """What happened to one, oldest first."""

    counted: list[tuple[float, bool]] = field(default_factory=list)
    """(when, fault) since it closed for the last time."""
    probes: int = 0
    good: int = 0
    opened: float | None = None
    closed: float = 0.0
    ejections: int = 0
    unreached: float | None = None
    broke: float = -TOGETHER

    def recent(self) -> list[bool]:
        """The answers since the last long silence."""
        found: list[bool] = []
        last = None
        for at, fault in self.counted:
            if last is not None and at - last > FORGET:
                found = []
            found.append(fault)
            last = at
        return found

    def sick(self) -> bool:
        recent = self.recent()
        row = recent[-POLICY.failure_threshold :]
        window = recent[-POLICY.sliding_window_size :]
        in_a_row = len(row) == POLICY.failure_threshold and all(row)
        return in_a_row or (len(window) == POLICY.sliding_window_size and sum(window) >= len(window) / 2)

    def count(self, fault: bool, now: float) -> None:
        self.counted.append((now, fault))
        if not fault:
            self.answered(now)
        elif self.probes or (self.opened is None and self.sick()):
            if self.opened is None:
                self.ejections = max(0, self.ejections - int((now - self.closed) / HEALTHY))
            self.ejections += 1
            self.opened, self.good = now, 0
        self.probes = max(0, self.probes - 1)

    def answered(self, now: float) -> None:
        if self.opened is None:
            return
        self.good += 1
        if self.good >= POLICY.success_threshold:
            self.opened, self.closed, self.good, self.probes = None, now, 0, 0
            self.counted = []


class Breakers(RuleBasedStateMachine):
    """One pool of three."""

    @initialize(seed=st.integers(0, 9))
    def begin(self, seed: int) -> None:
        self.health = Health(random.Random(seed), POLICY)
        self.naive = {name: Account() for name in NAMES}
        self.now = START

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 5.0, 11.0, 33.0, 65.0, 301.0, 601.0, 5000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=NAME)
    def attempt(self, name: str) -> None:
        account = self.naive[name]
        probe = account.opened is not None and account.probes == 0
        assert self.health.chosen(name) is probe, "one probe at a time"
        account.probes += probe

    @rule(name=NAME)
    def client_leaves(self, name: str) -> None:
        self.health.cancelled(name)
        self.naive[name].probes = 0

    @rule(name=NAME, outcome=st.sampled_from([OK, OK, TRANSIENT, TRANSIENT, AMBIGUOUS, REFUSED, CAPACITY, FAULT]))
    def ends(self, name: str, outcome: Outcome) -> None:
        self.health.record(name, "m", outcome, self.now)
        account = self.naive[name]
        if outcome not in (AMBIGUOUS, REFUSED):
            account.unreached = None
            for other in self.naive.values():
                if other.unreached is not None and self.now - other.unreached <= PROOF:
                    other.count(True, self.now)
                other.unreached = None
        if outcome is REFUSED:
            account.unreached = self.now
            if account.probes:
                account.opened, account.good = self.now, 0
            account.probes = 0
        elif outcome in (CAPACITY, FAULT):
            account.probes = 0
        elif outcome is AMBIGUOUS and not account.probes and self.now - account.broke < TOGETHER:
            pass
        else:
            if outcome is AMBIGUOUS:
                account.broke = self.now
            account.count(outcome is not OK, self.now)

    @invariant()
    def they_agree(self) -> None:
        for name, account in self.naive.items() if hasattr(self, "naive") else ():
            state = self.health.breaker_state(name, self.now)
            assert (state == "closed") is (account.opened is None), (name, account)
            block = self.health.blocked(name, "m", self.now)
            if account.opened is None:
                assert block is None
                continue
            shortest = min(30.0 * 2 ** (account.ejections - 1), 300.0)
            out = self.now - account.opened
            if out < shortest:
                assert state == "open", "it ends early"
            if out >= shortest * (1 + SPREAD):
                assert state == "half-open", "it ends late"
                assert (block is None) is (account.probes == 0), "a probe may be made, and one only"


Breakers.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestBreakers = Breakers.TestCase
