"""Requests that are not free to go anywhere: pinned, preferred, or changed and tried again."""

from __future__ import annotations

import pytest
from dispatch_world import AUTH, FAULT, OK, START, TRANSIENT, World, limited, quota

from mitm_balancer.core.dispatch import Attempt, Stop
from mitm_balancer.core.verdict import Outcome


@pytest.mark.parametrize("outcome", [limited(60), quota(60), AUTH, TRANSIENT, FAULT])
def test_a_pinned_request_never_goes_elsewhere(outcome: Outcome) -> None:
    """Cooling or not, whatever it answers: no other account can know what the request speaks of."""
    world = World("abc")
    world.health.record("b", "m", limited(600), world.now)
    dispatch = world.dispatch()
    dispatch.pin = "b"
    step = dispatch.next(START)
    assert isinstance(step, Attempt)
    assert (step.target.name, step.because) == ("b", "bound to it")
    dispatch.ended(outcome, START)
    step = dispatch.next(START)
    assert isinstance(step, Stop)
    assert "only b knows" in step.because


@pytest.mark.parametrize("how", ["pin", "prefer"])
def test_who_had_to_serve_does_not_become_the_active_account(how: str) -> None:
    """A file fetched from `c` must not move the whole conversation, and its prompt cache, to `c`."""
    world = World("abc")
    world.priority.active = "b"
    dispatch = world.dispatch()
    setattr(dispatch, how, "c")
    step = dispatch.next(START)
    assert isinstance(step, Attempt)
    assert step.target.name == "c"
    dispatch.ended(OK, START)
    assert world.priority.active == "b"


def test_a_preferred_account_that_refuses_is_left() -> None:
    world = World("abc")
    dispatch = world.dispatch()
    dispatch.prefer = "b"
    first = dispatch.next(START)
    dispatch.ended(limited(60), START)
    second = dispatch.next(START)
    dispatch.ended(OK, START)
    assert isinstance(first, Attempt) and isinstance(second, Attempt)
    assert [first.target.name, second.target.name] == ["b", "a"]
    assert world.priority.active == "a"


@pytest.mark.parametrize("name", ["b", "gone"])
def test_a_preferred_account_that_cannot_serve_is_passed_over(name: str) -> None:
    world = World("abc")
    world.health.record("b", "m", limited(600), world.now)
    dispatch = world.dispatch()
    dispatch.prefer = name
    step = dispatch.next(START)
    assert isinstance(step, Attempt)
    assert step.target.name == "a"


def test_a_changed_request_goes_to_the_same_account_once() -> None:
    dispatch = World("abc").dispatch()
    dispatch.next(START)
    dispatch.ended(FAULT, START)
    assert dispatch.retry_same("changed", START)
    step = dispatch.next(START)
    assert isinstance(step, Attempt)
    assert (step.target.name, step.number, step.because) == ("a", 2, "changed")
    dispatch.ended(FAULT, START)
    assert not dispatch.retry_same("changed", START), "once per request"
    assert isinstance(dispatch.next(START), Stop)


def test_a_changed_request_that_is_then_limited_moves_on() -> None:
    """The change does not end the request's life as any other's; `a` had its two tries."""
    dispatch = World("ab").dispatch()
    dispatch.next(START)
    dispatch.ended(FAULT, START)
    dispatch.retry_same("changed", START)
    dispatch.next(START)
    dispatch.ended(limited(60), START)
    step = dispatch.next(START)
    assert isinstance(step, Attempt)
    assert step.target.name == "b"


def test_a_pinned_request_may_be_changed() -> None:
    dispatch = World("ab").dispatch()
    dispatch.pin = "b"
    dispatch.next(START)
    dispatch.ended(FAULT, START)
    assert dispatch.retry_same("changed", START)
    step = dispatch.next(START)
    assert isinstance(step, Attempt)
    assert step.target.name == "b"


@pytest.mark.parametrize(
    ("policy", "now"), [({"max_attempts": 1}, START), ({"deadline": 5.0}, START + 5), ({"failover": False}, START)]
)
def test_a_change_does_not_break_the_bounds(policy: dict[str, object], now: float) -> None:
    """max_attempts, the deadline, and `balancing: false`, which applies a credential and that is all."""
    dispatch = World("ab").dispatch(**policy)
    assert not dispatch.retry_same("changed", START), "nothing was tried"
    dispatch.next(START)
    dispatch.ended(FAULT, START)
    assert not dispatch.retry_same("changed", now)
    assert isinstance(dispatch.next(now), Stop)
