"""Several requests interleaved over one pool, with random outcomes and a random clock, against a naive model."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from dispatch_world import AMBIGUOUS, AUTH, CAPACITY, FAULT, NO_MODEL, OK, PARTIAL, REFUSED, TRANSIENT, limited, quota
from dispatch_world import World as Shared
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mitm_balancer.core.budget import RATIO, RESERVE, TTL
from mitm_balancer.core.dispatch import Attempt, Dispatch, Pause, Stop
from mitm_balancer.core.health import Health
from mitm_balancer.core.verdict import Outcome, Scope, Sent, Verdict

NAMES = "abcd"
MODELS = ("x", "y", "")
OUTCOMES = st.sampled_from(
    [
        OK, limited(), limited(3), limited(90), limited(8, Scope.MODEL), quota(), quota(600), AUTH, NO_MODEL, FAULT,
        TRANSIENT, TRANSIENT, CAPACITY, AMBIGUOUS, PARTIAL, REFUSED,
    ]
)  # fmt: skip
SERVER = {Verdict.TRANSIENT_SERVER_FAILURE, Verdict.TRANSPORT_FAILURE}
PAUSES_IN_A_ROW = 4
"""A backoff, and holds that add up to at most `hold`: every account back once, one after the other."""


@dataclass
class Request:
    """One request and what the model knows of it."""

    dispatch: Dispatch
    model: str
    current: str | None = None
    wakes: float = 0.0
    paused: float = 0.0
    pauses_in_a_row: int = 0
    done: bool = False
    history: list[tuple[str, Outcome]] = field(default_factory=list)


class Interleaved(RuleBasedStateMachine):
    """The naive model: for each account and model the latest instant until which a refusal holds, without jitter."""

    @initialize(seed=st.integers(0, 1000), size=st.integers(1, 4), most=st.integers(1, 10))
    def begin(self, seed: int, size: int, most: int) -> None:
        self.world = Shared(NAMES[:size], health=Health(random.Random(seed)))
        self.most = most
        self.requests: list[Request] = []
        self.cooling: dict[tuple[str, str], float] = {}
        self.started = self.paid = 0
        self.began = self.world.now

    @rule(model=st.sampled_from(MODELS), hold=st.sampled_from([0.0, 20.0]), ambiguous=st.booleans())
    def arrives(self, model: str, hold: float, ambiguous: bool) -> None:
        dispatch = self.world.dispatch(model, max_attempts=self.most, hold=hold, retry_ambiguous=ambiguous, jitter=True)
        self.requests.append(Request(dispatch, model))
        self.started += 1
        self.go_on(self.requests[-1])

    @precondition(lambda self: any(r.current for r in self.requests))
    @rule(pick=st.integers(0, 1000), outcome=OUTCOMES)
    def ends(self, pick: int, outcome: Outcome) -> None:
        running = [r for r in self.requests if r.current]
        request = running[pick % len(running)]
        assert request.current is not None
        request.history.append((request.current, outcome))
        self.learn(request.current, request.model, outcome)
        request.dispatch.ended(outcome, self.world.now)
        request.current = None
        self.go_on(request)

    @precondition(lambda self: any(r.current for r in self.requests))
    @rule(pick=st.integers(0, 1000))
    def hangs_up(self, pick: int) -> None:
        running = [r for r in self.requests if r.current]
        request = running[pick % len(running)]
        request.dispatch.cancelled()
        request.current, request.done = None, True

    @rule(seconds=st.sampled_from([0.01, 1.0, 5.0, 31.0, 400.0, 2000.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.world.now + seconds
        while due := [r for r in self.requests if not r.done and r.current is None and r.wakes <= end]:
            request = min(due, key=lambda r: r.wakes)
            self.world.now = max(self.world.now, request.wakes)
            self.go_on(request)
        self.world.now = end

    def go_on(self, request: Request) -> None:
        """What the driver does, and what must hold for the step that it is told."""
        now = self.world.now
        step = request.dispatch.next(now)
        if isinstance(step, Pause):
            request.pauses_in_a_row += 1
            request.paused += step.seconds
            request.wakes = now + step.seconds
            assert step.seconds >= 0
            assert request.pauses_in_a_row <= PAUSES_IN_A_ROW, "it must end"
            assert request.paused <= 20 + 5 * 2, "hold, and two backoffs"
        elif isinstance(step, Stop):
            request.done = True
            self.check_stop(request, step)
        else:
            request.pauses_in_a_row = 0
            request.current = step.target.name
            self.check_attempt(request, step)

    def check_attempt(self, request: Request, step: Attempt) -> None:
        name, now = step.target.name, self.world.now
        assert self.cooling_until(name, request.model) <= now, "chosen while its cooldown holds"
        assert step.number == len(request.history) + 1 <= self.most, "max_attempts"
        tried = Counter(n for n, _ in request.history)
        assert tried[name] <= 1, "an account more than twice"
        if not request.history:
            return
        last = request.history[-1][1]
        assert last.redispatch, "what another account does not cure is returned"
        assert last.sent is not Sent.ALL or last.verdict is not Verdict.TRANSPORT_FAILURE or (
            request.dispatch.policy.retry_ambiguous and sum(o.ambiguous for _, o in request.history) == 1
        ), "an ambiguous request is re-issued once at most"  # fmt: skip
        extra = self.server_extras(request, name)
        assert extra <= 2, "more than two extra attempts for server failures"
        if last.verdict in SERVER and last.sent is not Sent.NOTHING:
            self.paid += 1
        if last.verdict in SERVER and last.sent is Sent.NOTHING and name == request.history[-1][0]:
            self.paid += 1

    @staticmethod
    def server_extras(request: Request, chosen: str) -> int:
        """Attempts that follow a server failure directly, the one to come included."""
        return sum(outcome.verdict in SERVER for _, outcome in request.history)

    def check_stop(self, request: Request, stop: Stop) -> None:
        now = self.world.now
        assert not (stop.exhausted and stop.empty)
        if stop.exhausted:
            assert stop.wait is not None
            assert stop.wait >= 0
        if stop.empty:
            assert not request.history
            assert all(self.cooling_until(n, request.model) > now for n in self.world.names), "somebody could serve"

    def learn(self, name: str, model: str, outcome: Outcome) -> None:
        defaults = {
            Verdict.RATE_LIMITED: 60.0,
            Verdict.QUOTA_EXHAUSTED: 1800.0,
            Verdict.AUTH_FAILURE: 3600.0,
            Verdict.MODEL_UNAVAILABLE: 43200.0,
        }
        if outcome.verdict not in defaults or (outcome.verdict is Verdict.MODEL_UNAVAILABLE and not model):
            return
        seconds = defaults[outcome.verdict] if outcome.wait is None else outcome.wait
        key = (name, model if outcome.scope is Scope.MODEL else "")
        self.cooling[key] = max(self.cooling.get(key, 0.0), self.world.now + seconds)

    def cooling_until(self, name: str, model: str) -> float:
        return max(self.cooling.get((name, ""), 0.0), self.cooling.get((name, model), 0.0))

    @invariant()
    def the_budget_holds(self) -> None:
        """P2: over the whole run, a fifth of the requests plus the reserve, which refills once in TTL."""
        if hasattr(self, "world"):
            passed = self.world.now - self.began
            assert self.paid <= self.started * RATIO + RESERVE * (1 + passed / TTL) + 1e-6

    @invariant()
    def every_cooldown_of_the_model_is_known(self) -> None:
        """What the provider asked for is never forgotten or shortened."""
        if hasattr(self, "world"):
            for (name, model), until in self.cooling.items():
                if until > self.world.now:
                    held = self.world.health.cooldown(name, model, self.world.now)
                    assert held is not None
                    assert until <= held.until

    def teardown(self) -> None:
        """Every request ends when its attempts do: no probe slot stays taken, nobody waits for ever."""
        if not hasattr(self, "world"):
            return
        for request in self.requests:
            if request.current:
                request.dispatch.cancelled()
        self.world.now += 1e6
        for name in self.world.names:
            assert self.world.health.blocked(name, "x", self.world.now) is None


Interleaved.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestInterleaved = Interleaved.TestCase
