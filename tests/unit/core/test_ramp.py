"""An account that takes over is filled step by step, and nobody fails for that."""

from __future__ import annotations

import math
import random

from dispatch_world import OK, START, TRANSIENT, NoJitter, limited
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from seated_world import Request, SeatedWorld

from mitm_balancer.core.admission import Admission, AdmissionPolicy
from mitm_balancer.core.dispatch import Attempt, Queue
from mitm_balancer.core.health import Health
from mitm_balancer.core.ramp import STEP, Ramps
from mitm_balancer.core.waiting import PROBE_PATIENCE


def steps(request: Request, world: SeatedWorld) -> None:
    """It looks again."""
    request.step = request.dispatch.next(world.now)


def crowd(world: SeatedWorld, size: int) -> list[Request]:
    """So many sessions, all on the first account, which then says that it is out."""
    requests = [world.start(f"s{n}") for n in range(size)]
    for request in requests:
        assert request.name == "a"
        request.dispatch.ended(limited(1000), world.now)
    return requests


def running(requests: list[Request], name: str) -> int:
    return sum(request.name == name for request in requests)


def test_a_crowd_that_loses_its_account_does_not_stampede_the_next() -> None:
    """One at once, then one more each quarter of a second, up to the limit; the others wait and are woken in turn."""
    world = SeatedWorld("ab", each=6)
    requests = crowd(world, 6)
    seen = []
    for _ in range(8):
        for request in requests:
            if not isinstance(request.step, Attempt) or request.name == "a":
                steps(request, world)
        seen.append(running(requests, "b"))
        world.now += STEP
    assert seen == [1, 2, 3, 4, 5, 6, 6, 6]
    assert all(isinstance(request.step, Attempt) for request in requests), "nobody failed"
    assert requests[0].dispatch.waiting.queued == 0
    assert [round(r.dispatch.waiting.queued, 3) for r in requests] == [0, 0.25, 0.5, 0.75, 1.0, 1.25]


def test_it_looks_again_when_there_may_be_one_more() -> None:
    """Not after two seconds."""
    world = SeatedWorld("ab")
    first, second = crowd(world, 2)
    steps(first, world)
    steps(second, world)
    assert second.step == Queue(STEP, "waiting for a free slot")
    world.now += 0.1
    steps(second, world)
    assert isinstance(second.step, Queue)
    assert math.isclose(second.step.seconds, STEP - 0.1)


def test_one_who_waits_is_woken_by_anybodys_look() -> None:
    """Slots are given in turn, not to whoever looks first."""
    world = SeatedWorld("ab")
    first, second, third = crowd(world, 3)
    for request in (first, second, third):
        steps(request, world)
    world.now += STEP
    steps(third, world)
    assert (second.woken, isinstance(third.step, Queue)) == ([1], True)


def test_when_the_queue_is_full_the_slow_start_is_skipped() -> None:
    """It is there to help: it refuses nobody."""
    world = SeatedWorld("ab", queue=1)
    requests = crowd(world, 3)
    for request in requests:
        steps(request, world)
    assert [request.name for request in requests] == ["b", "", "b"]


def test_nobody_waits_where_no_work_is_taken_over() -> None:
    """At the beginning, on the account in use, for a session's own account, and where work is spread."""
    world = SeatedWorld("ab")
    assert {world.start(f"s{n}").name for n in range(6)} == {"a"}
    world.bindings.bind("there", "b", world.now)
    assert {world.start("there").name for _ in range(2)} == {"b"}
    world = SeatedWorld("ab")
    world.priority.active = "a"
    pinned = [world.dispatch() for _ in range(2)]
    for dispatch in pinned:
        dispatch.pin = "b"
        assert isinstance(dispatch.next(world.now), Attempt), "what only one account can serve takes nothing over"
    world = SeatedWorld("ab", each=2)
    served = world.start("s0")
    served.dispatch.ended(OK, world.now)
    assert [world.start(f"s{n}").name for n in range(1, 4)] == ["a", "b", "b"], "the first is full, and not left"
    for strategy in ("round-robin", "weighted", "least-loaded"):
        world = SeatedWorld("abc", strategy)
        names = [world.start(f"s{n}").name for n in range(12)]
        assert sorted(names) == sorted("abc" * 4)


def test_an_account_with_work_of_its_own_gets_one_more_at_once() -> None:
    """The steps begin above what runs there."""
    world = SeatedWorld("ab")
    world.bindings.bind("there", "b", world.now)
    for _ in range(3):
        world.start("there")
    requests = crowd(world, 3)
    for request in requests:
        steps(request, world)
    assert [request.name for request in requests] == ["b", "", ""]


def test_a_limit_below_the_steps_ends_them() -> None:
    """Then it is bounded by its limit as ever, and the journal of the queue is empty."""
    admission = Admission(limits={"b": 2})
    admission.takes_over("b", START)
    assert admission.take("b")
    assert admission.climbing("b")
    assert not admission.take("b")
    assert admission.take("b", at_once=True)
    assert not admission.climbing("b"), "its limit keeps others away, not its slow start"
    admission.climb(START + STEP)
    assert admission.ramps.allowed == {}
    assert admission.ramps.next_step(START) is None
    assert not admission.take("b", at_once=True)


class Climbing(RuleBasedStateMachine):
    """The admission against the plain rule: never more than the steps allow since the account took over."""

    @initialize(seed=st.integers(0, 99), limit=st.integers(1, 9))
    def begin(self, seed: int, limit: int) -> None:
        self.rng = random.Random(seed)
        self.limit, self.now, self.began, self.first = limit, START, math.inf, 0
        self.admission = Admission(AdmissionPolicy(12), {"b": limit})
        self.running = 0

    @rule()
    def takes_over(self) -> None:
        self.admission.climb(self.now)
        if self.allowed() >= self.limit:
            self.began, self.first = self.now, self.running
        self.admission.takes_over("b", self.now)

    @rule()
    def wants(self) -> None:
        self.admission.climb(self.now)
        may = self.running < min(self.limit, self.allowed())
        assert self.admission.take("b") is may
        self.running += may

    @rule()
    def ends(self) -> None:
        if self.running:
            self.running -= 1
            self.admission.give_back("b")

    @rule(seconds=st.sampled_from([0.0, 0.1, STEP, 0.6, 3.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    def allowed(self) -> int:
        """How many may run, were there no limit."""
        passed = self.now - self.began
        return 99 if passed < 0 else self.first + 1 + int(passed / STEP + 1e-6)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "admission"):
            assert self.admission.running("b") == self.running == self.admission.total
            step = self.admission.ramps.next_step(self.now)
            assert step is None or 0 < step <= STEP


Climbing.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestClimbing = Climbing.TestCase


def test_a_clock_that_stands_still_gives_nothing_away() -> None:
    """Nor one that went back."""
    ramps = Ramps()
    ramps.begin("b", 0, START)
    assert not ramps.climb(START)
    assert not ramps.climb(START - 5)
    assert ramps.allowed == {"b": 1}


# -- probes -------------------------------------------------------------------------------------------------------


def ejected(names: str = "a") -> SeatedWorld:
    """The breakers of all of them are open, half a minute ago."""
    world = SeatedWorld(names)
    for name in names:
        for _ in range(5):
            world.health.record(name, "m", TRANSIENT, world.now)
    world.now += 31
    return world


def test_who_finds_only_a_probing_account_waits_for_its_end() -> None:
    """And goes on with it when it is good: nobody fails, nobody is sent into a sick account beside the probe."""
    world = ejected()
    probe, *others = [world.start(f"s{n}") for n in range(4)]
    assert probe.name == "a"
    assert {other.step for other in others} == {Queue(PROBE_PATIENCE, "waiting for the end of a probe", for_slot=False)}
    world.now += 2
    probe.dispatch.ended(OK, world.now)
    assert [other.woken for other in others] == [[1], [1], [1]]
    for other in others:
        steps(other, world)
    assert [other.name for other in others] == ["a", "a", "a"]
    assert others[0].dispatch.waiting.queued == 2


def test_a_bad_probe_makes_way_for_the_next_one() -> None:
    """One after the other, each as the last one left."""
    world = ejected()
    probe, second, third = [world.start(f"s{n}") for n in range(3)]
    probe.dispatch.ended(TRANSIENT, world.now)
    steps(second, world)
    steps(third, world)
    assert (second.name, isinstance(third.step, Queue)) == ("a", True)
    second.dispatch.cancelled()
    assert third.woken == [1, 1], "also when the client of a probe left"
    steps(third, world)
    assert third.name == "a"


def test_patience_with_probes_has_an_end() -> None:
    """A probe may hang for minutes; then the last one left is asked all the same."""
    world = ejected()
    world.start("s0")
    waiting = world.start("s1")
    world.now += PROBE_PATIENCE - 1
    steps(waiting, world)
    assert isinstance(waiting.step, Queue)
    assert math.isclose(waiting.step.seconds, 1)
    world.now += 1
    steps(waiting, world)
    assert waiting.name == "a"


def test_two_ejected_accounts_are_probed_beside_each_other() -> None:
    """A probe of the other one is better than a wait."""
    world = ejected("ab")
    assert [world.start(f"s{n}").name for n in range(3)] == ["a", "b", ""]


def test_a_wait_for_a_probe_holds_no_place_for_a_slot() -> None:
    """Or it would be given slots that it cannot use, for ever."""
    world = SeatedWorld("a", each=1)
    first, second = world.start("s0"), world.start("s1")
    assert isinstance(second.step, Queue)
    assert second.step.for_slot
    for _ in range(5):
        world.health.record("a", "m", TRANSIENT, world.now)
    first.dispatch.close()
    world.health.chosen("a")
    steps(second, world)
    assert isinstance(second.step, Queue)
    assert not second.step.for_slot
    assert (world.admission.waiting, world.admission.total) == (0, 0)


def test_told_once_and_about_that_account() -> None:
    """Not of others."""
    health, heard = Health(NoJitter()), []
    for name in "ab":
        for _ in range(5):
            health.record(name, "m", TRANSIENT, START)
        assert health.chosen(name)
    health.tell("a", lambda: heard.append(1))
    health.cancelled("b")
    assert heard == []
    health.cancelled("a")
    assert heard == [1]
    health.chosen("a")
    health.clear("a")
    assert heard == [1]
