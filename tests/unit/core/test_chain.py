"""Providers in a row: when a request leaves its own provider, what it is asked for there, and when it comes back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from dispatch_world import (
    CAPACITY,
    FAULT,
    OK,
    REFUSED,
    TRANSIENT,
    Story,
    World,
    limited,
    quota,
)

from mitm_balancer.core.chain import Chain, Link
from mitm_balancer.core.dispatch import Pause
from mitm_balancer.core.priority import Priority, TargetInfo
from mitm_balancer.core.session import Bindings, SessionKeys, Tie
from mitm_balancer.core.verdict import Outcome, Scope

HOUR = 3600.0


@dataclass
class Row(World):
    """Accounts a, b of provider p; x, y of q, which calls the model `glm`; z of r, which calls it as the client."""

    def __post_init__(self) -> None:
        self.homes = Priority([TargetInfo(name, "p") for name in self.names])
        self.priority = Chain(  # type: ignore[assignment]
            [
                Link(self.homes),
                Link(Priority([TargetInfo("x", "q", ("glm*",)), TargetInfo("y", "q")]), "glm"),
                Link(Priority([TargetInfo("z", "r")])),
            ],
            self.homes.around,
        )


def row() -> Row:
    return Row(names=("a", "b"))


def answers(world: Row, **given: Outcome) -> Story:
    """One request: every account not named serves."""
    return world.run({name: [given.get(name, OK)] for name in "abxyz"})


def test_the_home_serves_while_it_can() -> None:
    assert answers(row()).tried == "a"


def test_a_definite_refusal_walks_the_home_first_then_the_row() -> None:
    world = row()
    story = answers(world, a=limited(HOUR), b=quota(HOUR), x=limited(HOUR), y=limited(HOUR))
    assert story.tried == "abxyz"
    assert answers(world).tried == "z"


def test_a_cooldown_of_one_model_is_the_one_that_was_sent() -> None:
    world = row()
    answers(world, a=limited(HOUR), b=limited(HOUR), x=limited(HOUR, Scope.MODEL), y=OK)
    assert world.health.cooldown("x", "glm", world.now) is not None
    assert world.health.cooldown("x", "m", world.now) is None


def test_globs_are_asked_for_the_name_that_is_sent() -> None:
    world = row()
    world.priority = Chain(  # type: ignore[assignment]
        [Link(world.homes), Link(Priority([TargetInfo("x", "q", ("m",)), TargetInfo("y", "q", ("glm",))]), "glm")],
        world.homes.around,
    )
    assert answers(world, a=limited(HOUR), b=limited(HOUR)).tried == "aby"


def test_a_fault_of_the_request_goes_nowhere() -> None:
    assert answers(row(), a=FAULT).tried == "a"


@pytest.mark.parametrize("fault", [TRANSIENT, CAPACITY])
def test_a_provider_may_fail_twice_before_another_one_is_asked(fault: Outcome) -> None:
    story = answers(row(), a=fault, b=fault)
    assert story.tried == "abx"
    assert not story.pauses


def test_a_lone_account_is_asked_again_after_a_backoff_before_the_row_is() -> None:
    world = Row(names=("a",))
    story = answers(world, a=TRANSIENT)
    assert story.tried == "aax"
    assert len(story.pauses) == 1


def test_a_server_that_recovers_keeps_the_request_at_home() -> None:
    world = Row(names=("a",))
    story = world.run({"a": [TRANSIENT, OK], "x": [OK], "y": [OK], "z": [OK]})
    assert story.tried == "aa"


def test_server_failures_never_walk_the_row() -> None:
    assert answers(row(), a=TRANSIENT, b=TRANSIENT, x=TRANSIENT).tried == "abx"


def test_a_home_that_cannot_be_reached_is_left() -> None:
    assert answers(row(), a=REFUSED, b=REFUSED).tried == "abx"


def test_a_home_behind_its_breakers_is_left_for_one_that_is_well() -> None:
    world = row()
    for _ in range(10):
        for name in "ab":
            world.health.record(name, "m", TRANSIENT, world.now)
    assert answers(world).tried == "x"


def test_breakers_everywhere_leave_the_first_one() -> None:
    world = row()
    for _ in range(10):
        for name in "abxyz":
            world.health.record(name, "m", TRANSIENT, world.now)
    assert answers(world).tried == "a"


def test_a_moment_is_worth_waiting_for() -> None:
    world = row()
    world.health.record("a", "m", limited(4.0), world.now)
    world.health.record("b", "m", limited(HOUR), world.now)
    story = answers(world)
    assert story.tried == "a"
    assert story.pauses == [pytest.approx(4.0)]


def test_a_longer_wait_is_not() -> None:
    world = row()
    for name in "ab":
        world.health.record(name, "m", limited(6.0), world.now)
    story = answers(world)
    assert (story.tried, story.pauses) == ("x", [])
    world.now += 7.0
    assert answers(world).tried == "a"


def test_waiting_for_the_home_is_bounded_by_hold() -> None:
    world = row()
    world.health.record("a", "m", limited(4.0), world.now)
    world.health.record("b", "m", limited(HOUR), world.now)
    story = world.run({name: [OK] for name in "abxyz"}, hold=3.0)
    assert (story.tried, story.pauses) == ("x", [])


def test_everybody_out_is_held_for_the_first_who_is_back() -> None:
    world = row()
    for name, wait in zip("abxyz", (HOUR, HOUR, HOUR, 9.0, HOUR), strict=True):
        world.health.record(name, "m", limited(wait), world.now)
    story = answers(world)
    assert (story.tried, story.pauses) == ("y", [pytest.approx(9.0)])


def test_off_never_leaves_the_home() -> None:
    world = row()
    assert world.run({name: [limited(HOUR)] for name in "abxyz"}, failover=False).tried == "a"


def test_an_empty_row_serves_nobody() -> None:
    world = row()
    world.priority = Chain([], world.homes.around)  # type: ignore[assignment]
    story = answers(world)
    assert story.tried == ""
    assert getattr(story.steps[-1], "empty", False)


def test_a_row_without_the_home_serves_by_the_others() -> None:
    world = row()
    world.priority = Chain(world.priority.links[1:], world.homes.around)  # type: ignore[assignment,attr-defined]
    assert answers(world).tried == "x"


def test_a_stand_in_never_moves_the_session_of_the_home() -> None:
    world = row()
    bindings = Bindings()

    def ask(model: str) -> str:
        dispatch = world.dispatch(model)
        dispatch.tie = Tie(bindings, SessionKeys("s"))
        return world.drive(dispatch, {name: [OK] for name in "abxyz"}).tried

    assert ask("m") == "a"
    for name in "ab":
        world.health.record(name, "h", limited(HOUR, Scope.MODEL), world.now)
    assert ask("h") == "x"
    assert bindings.find(SessionKeys("s"), world.now) == "a"
    assert ask("m") == "a"


def test_a_conversation_goes_on_at_its_stand_in_while_that_is_preferred() -> None:
    world = row()
    dispatch = world.dispatch()
    dispatch.prefer = "y"
    assert world.drive(dispatch, {name: [OK] for name in "abxyz"}).tried == "y"


def test_the_scope_that_is_learnt_is_the_stand_ins() -> None:
    world = row()
    for name in "ab":
        world.health.record(name, "m", limited(HOUR), world.now)
    answers(world, x=CAPACITY, y=CAPACITY)
    assert world.scope.provider_wide("q", world.now)
    assert not world.scope.provider_wide("p", world.now)


def test_a_retry_at_a_stand_in_stays_with_its_model() -> None:
    """The warm account is asked again there too, and its cooldowns are looked up by the name that it was sent."""
    world = Row(names=("a",))
    world.health.record("a", "m", limited(HOUR), world.now)
    world.priority = Chain(  # type: ignore[assignment]
        [Link(world.homes), Link(Priority([TargetInfo("x", "q")]), "glm")], world.homes.around
    )
    story = world.run({"a": [OK], "x": [TRANSIENT, OK]})
    assert story.tried == "xx"
    assert isinstance(story.steps[1], Pause)


def test_names_of_the_model() -> None:
    chain = row().priority
    assert [chain.model_of(name, "m") for name in ("a", "x", "z", "nobody")] == ["m", "glm", "m", "m"]
