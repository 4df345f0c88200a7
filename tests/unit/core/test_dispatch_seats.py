"""Requests that wait for a slot, and leases that end on every path."""

from __future__ import annotations

import dataclasses

from dispatch_world import AMBIGUOUS, AUTH, FAULT, OK, REFUSED, START, TRANSIENT, limited
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from seated_world import Request, SeatedWorld

from mitm_balancer.core.dispatch import Attempt, DispatchPolicy, Pause, Queue, Stop
from mitm_balancer.core.verdict import Outcome
from mitm_balancer.core.waiting import LOOK_AGAIN


def test_an_account_at_its_limit_is_passed_over() -> None:
    """In favour of another; and the story tells why."""
    world = SeatedWorld("ab", each=1)
    first, second = world.start(), world.start()
    assert (first.name, second.name) == ("a", "b")
    assert [(r.name, r.block.reason) for r in second.dispatch.rejected] == [("a", "at its concurrency limit")]


def test_when_all_are_at_their_limit_it_waits_and_is_woken() -> None:
    """By the end of the answer, not by that of the attempt."""
    world = SeatedWorld("a", each=1)
    first, second = world.start(), world.start()
    assert second.step == Queue(LOOK_AGAIN, "waiting for a free slot")
    first.dispatch.ended(OK, world.now)
    assert second.woken == []
    world.now += 5
    first.dispatch.close()
    assert second.woken == [1]
    step = second.dispatch.next(world.now)
    assert isinstance(step, Attempt)
    assert second.dispatch.waiting.queued == 5


def test_a_refused_attempt_frees_its_slot_before_the_next_begins() -> None:
    """A walk over the pool holds one slot at a time."""
    world = SeatedWorld("ab", limit=1)
    first, second = world.start(), world.start()
    first.dispatch.ended(limited(30), world.now)
    assert second.woken == [1]
    assert isinstance(first.dispatch.next(world.now), Queue), "its slot was promised to the one that waits"
    assert isinstance(second.dispatch.next(world.now), Attempt)
    second.dispatch.close()
    assert first.woken == [1]
    step = first.dispatch.next(world.now)
    assert isinstance(step, Attempt)
    assert step.target.name == "b"


def test_a_full_queue_is_told_at_once() -> None:
    """No slot, no place."""
    world = SeatedWorld("a", each=1, queue=0)
    world.start()
    step = world.start().step
    assert isinstance(step, Stop)
    assert step.overloaded


def test_the_deadline_ends_the_wait() -> None:
    """And nothing of it stays in the queue."""
    world = SeatedWorld("a", each=1, policy=DispatchPolicy(deadline=3.0))
    world.start()
    waiting = world.start()
    seconds = 0.0
    step = waiting.step
    while isinstance(step, Queue):
        seconds += step.seconds
        world.now += step.seconds
        step = waiting.dispatch.next(world.now)
    assert isinstance(step, Stop)
    assert step.overloaded
    assert seconds == 3
    assert world.admission.waiting == 0


def test_one_that_waits_takes_an_account_that_has_come_back() -> None:
    """It looks again by itself: nobody's end tells it."""
    world = SeatedWorld("ab", each=1)
    world.health.record("b", "m", limited(3), world.now)
    world.start()
    waiting = world.start()
    assert isinstance(waiting.step, Queue)
    world.now += 4
    step = waiting.dispatch.next(world.now)
    assert isinstance(step, Attempt)
    assert step.target.name == "b"


def test_a_request_that_only_one_account_can_serve_waits_for_that_one() -> None:
    """Although another is free."""
    world = SeatedWorld("ab", each=1)
    running = world.start()
    dispatch = world.dispatch()
    dispatch.pin = "a"
    assert isinstance(dispatch.next(world.now), Queue)
    running.dispatch.close()
    step = dispatch.next(world.now)
    assert isinstance(step, Attempt)
    assert (step.target.name, step.because) == ("a", "bound to it")


def test_the_retry_on_the_warm_account_waits_for_its_slot() -> None:
    """The backoff was paid once and is not paid again."""
    world = SeatedWorld("a", each=1)
    first = world.start()
    first.dispatch.ended(TRANSIENT, world.now)
    assert isinstance(first.dispatch.next(world.now), Pause)
    second = world.start()
    world.now += 1
    balance = world.budget.balance(world.now)
    assert isinstance(first.dispatch.next(world.now), Queue)
    second.dispatch.close()
    step = first.dispatch.next(world.now)
    assert isinstance(step, Attempt)
    assert step.because == "retry after backoff"
    assert world.budget.balance(world.now) == balance


def test_healthy_but_busy_accounts_are_waited_for_rather_than_a_broken_one() -> None:
    """An open breaker is ignored only for the last one left."""
    world = SeatedWorld("ab", each=1)
    for _ in range(5):
        world.health.record("b", "m", TRANSIENT, world.now)
    world.start()
    assert isinstance(world.start().step, Queue)


def test_a_turn_that_began_on_a_drained_account_ends_there() -> None:
    """Drained is: finish what runs. A paused one does not."""
    for word, served in (("drained", "b"), ("paused", "a")):
        world = SeatedWorld("ab")
        world.priority.around.states.take({"b": {word: True}})
        dispatch = world.dispatch()
        dispatch.prefer = "b"
        step = dispatch.next(world.now)
        assert isinstance(step, Attempt)
        assert step.target.name == served


def test_who_waits_for_an_account_that_is_paused_meanwhile_does_not_go_there() -> None:
    """The turn that began there goes elsewhere; what only that account knows is refused; drained lets it end."""
    for word, prefer, pin, served in (
        ("paused", "a", None, "b"), ("disabled", "a", None, "b"), ("drained", "a", None, "a"),
        ("paused", None, "a", ""), ("drained", None, "a", "a"),
    ):  # fmt: skip
        world = SeatedWorld("ab", limit=1)
        running = world.start()
        dispatch = world.dispatch()
        dispatch.prefer, dispatch.pin = prefer, pin
        assert isinstance(dispatch.next(world.now), Queue)
        world.priority.around.states.take({"a": {word: True}})
        running.dispatch.close()
        step = dispatch.next(world.now)
        assert (step.target.name if isinstance(step, Attempt) else "") == served, (word, prefer, pin)
        dispatch.close()


def test_the_warm_account_is_not_asked_again_once_it_was_paused() -> None:
    world = SeatedWorld("a")
    first = world.start()
    first.dispatch.ended(TRANSIENT, world.now)
    assert isinstance(first.dispatch.next(world.now), Pause)
    world.priority.around.states.take({"a": {"paused": True}})
    world.now += 1
    assert isinstance(first.dispatch.next(world.now), Stop)


def test_a_resource_of_a_drained_account_is_served_there_and_of_a_paused_one_nowhere() -> None:
    """Nobody else knows it; what the operator said counts all the same."""
    for word, kind in (("drained", Attempt), ("paused", Stop), ("disabled", Stop)):
        world = SeatedWorld("ab")
        world.priority.around.states.take({"b": {word: True}})
        dispatch = world.dispatch()
        dispatch.pin = "b"
        assert isinstance(dispatch.next(world.now), kind)


class Crowd(RuleBasedStateMachine):
    """Many requests over a small pool, every end that there is, in any order; then all of them are over."""

    @initialize(
        limit=st.integers(1, 4), each=st.integers(1, 3), queue=st.integers(0, 5),
        strategy=st.sampled_from(["priority", "round-robin", "least-loaded"]),
    )  # fmt: skip
    def begin(self, limit: int, each: int, queue: int, strategy: str) -> None:
        self.world = SeatedWorld("abc", strategy, limit, each, queue, DispatchPolicy(deadline=60))
        self.open: list[Request] = []

    @rule(session=st.sampled_from(["", "s", "t"]), pin=st.none() | st.sampled_from("ab"), failover=st.booleans())
    def comes(self, session: str, pin: str | None, failover: bool) -> None:
        request = self.world.start(session) if pin is None and failover else self.special(session, pin, failover)
        self.open.append(request)
        self.check(request)

    def special(self, session: str, pin: str | None, failover: bool) -> Request:
        woken: list[int] = []
        dispatch = self.world.dispatch(session, lambda: woken.append(1))
        dispatch.pin, dispatch.policy = pin, dataclasses.replace(self.world.policy, failover=failover)
        return Request(dispatch, dispatch.next(self.world.now), woken)

    @precondition(lambda self: self.open)
    @rule(
        pick=st.integers(0, 99),
        outcome=st.sampled_from([OK, OK, limited(3), limited(90), TRANSIENT, AMBIGUOUS, REFUSED, FAULT, AUTH]),
        again=st.booleans(),
    )
    def goes_on(self, pick: int, outcome: Outcome, again: bool) -> None:
        request = self.open[pick % len(self.open)]
        if isinstance(request.step, Attempt):
            request.dispatch.ended(outcome, self.world.now)
            if outcome is FAULT and again:
                request.dispatch.retry_same("without it", self.world.now)
            if outcome.ok:
                self.leaves(pick)
                return
        request.woken.clear()
        request.step = request.dispatch.next(self.world.now)
        self.check(request)

    def check(self, request: Request) -> None:
        seat = request.dispatch.seat
        assert seat is not None
        if isinstance(request.step, Attempt):
            assert seat.lease == request.step.target.name
        else:
            assert seat.lease is None, "nothing is held while nothing runs"
        if isinstance(request.step, Stop):
            self.leaves(self.open.index(request))

    @precondition(lambda self: self.open)
    @rule(pick=st.integers(0, 99))
    def leaves(self, pick: int) -> None:
        """At any moment: before, while or after it was served."""
        request = self.open.pop(pick % len(self.open))
        request.dispatch.close()
        request.dispatch.close()

    @rule(seconds=st.sampled_from([0.1, 2.0, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @invariant()
    def limits_hold_and_nothing_is_lost(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        attempts = [r.step.target.name for r in self.open if isinstance(r.step, Attempt)]
        reserved = [t for line in world.admission._queue.values() for t in line if t.granted is not None]
        assert world.admission.total == len(attempts) + len(reserved) <= world.limit
        assert all(attempts.count(name) <= world.admission.running(name) <= world.each for name in "abc")
        assert world.admission.waiting == sum(isinstance(r.step, Queue) for r in self.open) <= world.queue
        assert all(
            t in reserved for r in self.open if r.woken for t in [r.dispatch.seat and r.dispatch.seat._ticket] if t
        )

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for request in self.open:
            request.dispatch.close()
        assert (self.world.admission.total, self.world.admission.waiting) == (0, 0)
        later = self.world.now + START * 1e3
        assert all(self.world.health.blocked(name, "m", later) is None for name in "abc"), "no probe slot stays taken"


Crowd.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestCrowd = Crowd.TestCase
