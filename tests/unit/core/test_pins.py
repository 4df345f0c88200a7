"""What a pin concerns, how a run tells its own, and what is left of an order."""

from __future__ import annotations

import dataclasses

import pytest
from dispatch_world import FAULT, OK, TRANSIENT, World, limited

from mitm_balancer.core.dispatch import Dispatch, Stop
from mitm_balancer.core.only import Only
from mitm_balancer.core.pins import Pin, Pinned, accounts_of, pinned, user_of

HOUR = 3600.0
PRINT = "0123456789abcdef"


@pytest.mark.parametrize(
    ("pin", "model", "fits"),
    [
        (Pin("p/a", "claude-opus-*"), "claude-opus-4", True),
        (Pin("p/a", "claude-opus-*"), "claude-haiku-4", False),
        (Pin("p/a", "*"), "", False),
        (Pin("p/a", "", "s1"), "anything", True),
        (Pin("p/a", "", "s"), "anything", False),
        (Pin("p/a", "", PRINT[:8]), "anything", True),
        (Pin("p/a", "", PRINT[:7]), "anything", False),
        (Pin("p/a", "claude-*", "s1"), "gpt", False),
    ],
)
def test_what_it_concerns(pin: Pin, model: str, fits: bool) -> None:
    assert pin.fits(model, ("s1", "parent"), (PRINT,)) is fits


def test_the_most_particular_one_first() -> None:
    pins = (Pin("p/model", "m*"), Pin("p/session", "", "s1"), Pin("p/other", "x*"))
    found = list(pinned(("p/run",), pins, "m1", ("s1",), ()))
    assert found == [Pinned("p/run", "this run"), Pinned("p/session", "this session"), Pinned("p/model", "m*")]


@pytest.mark.parametrize("accounts", [("anthropic/work",), ("anthropic/my.own-1_x", "openai/team")])
def test_a_run_tells_its_accounts(accounts: tuple[str, ...]) -> None:
    assert accounts_of(user_of(accounts)) == accounts


@pytest.mark.parametrize("user", ["", "alice", "pin", "pin~a", "pin~a~", "pin~a~b~c", "PIN~a~b"])
def test_other_user_names_are_none_of_ours(user: str) -> None:
    assert accounts_of(user) == ()


def only(world: World, name: str, **policy: object) -> Dispatch:
    dispatch = world.dispatch(**policy)
    dispatch.priority = Only(world.priority, name, "pinned")
    return dispatch


def everything(world: World, name: str, outcome: object = OK, **policy: object) -> tuple[str, list[float], Stop]:
    given = {other: [OK] for other in world.names} | {name: [outcome]}
    story = world.drive(only(world, name, **policy), given)  # type: ignore[arg-type]
    stop = story.steps[-1]
    assert isinstance(stop, Stop)
    return story.tried, story.pauses, stop


def test_nobody_else_serves() -> None:
    world = World()
    assert everything(world, "b")[0] == "b"
    assert world.priority.active is None, "who had to serve says nothing about who serves next"
    tried, _, stop = everything(world, "b", limited(HOUR))
    assert tried == "b"
    assert stop.exhausted
    assert stop.wait == pytest.approx(HOUR)
    assert everything(world, "b")[0] == "", "it is not asked before its time"
    assert everything(world, "b", FAULT)[0] == ""


def test_a_short_wait_is_held_for_it() -> None:
    world = World()
    world.health.record("b", "m", limited(9.0), world.now)
    tried, pauses, _ = everything(world, "b")
    assert (tried, pauses) == ("b", [pytest.approx(9.0)])


def test_a_server_failure_is_tried_again_there() -> None:
    tried, pauses, _ = everything(World(), "b", TRANSIENT)
    assert tried == "bb"
    assert len(pauses) == 1


def test_its_breaker_does_not_keep_it() -> None:
    world = World()
    for _ in range(10):
        world.health.record("b", "m", TRANSIENT, world.now)
    assert everything(world, "b")[0] == "b"


def test_one_that_is_not_there() -> None:
    tried, _, stop = everything(World(), "z")
    assert (tried, stop.empty) == ("", True)


def test_switched_off_it_is_asked_although_it_cools() -> None:
    world = World()
    world.health.record("b", "m", limited(HOUR), world.now)
    assert everything(world, "b", failover=False)[0] == "b"


def test_a_bound_resource_of_another_account_stays_unknown_to_it() -> None:
    world = World()
    dispatch = only(world, "b")
    dispatch.pin = "a"
    step = dispatch.next(world.now)
    assert isinstance(step, Stop)
    assert "a made what this request speaks of" in step.because


def test_a_drained_account_finishes_its_pins() -> None:
    world = World()
    world.priority.around.states.take({"b": {"drained": True}})
    assert everything(world, "b")[0] == "b"
    world.priority.around.states.take({"b": {"paused": True}})
    assert everything(world, "b")[2].empty


def test_a_busy_one_is_waited_for() -> None:
    class Full:
        def at_limit(self, name: str) -> bool:
            return name == "b"

        def running(self, name: str) -> int:
            return 0

    world = World()
    full = dataclasses.replace(world.priority.around.known, load=Full())
    world.priority.around.known = full
    selection = Only(world.priority, "b", "pinned").select("m", world.health, world.now)
    assert (selection.chosen, selection.busy) == (None, ("b",))
