"""A refused login is renewed once, and the same account is asked once more; P1 allows no more than that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dispatch_world import AUTH, OK, TRANSIENT, World, limited
from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.dispatch import Attempt, Dispatch, Renew, Step, Stop
from mitm_balancer.core.health import NOT_RENEWED
from mitm_balancer.core.verdict import Outcome


def name_of(step: Step) -> str:
    assert isinstance(step, Attempt), step
    return step.target.name


def refused(world: World, **policy: object) -> Dispatch:
    """Its first attempt was refused for the credential."""
    dispatch = world.dispatch(**policy)
    assert name_of(dispatch.next(world.now)) == "a"
    dispatch.ended(AUTH, world.now, renewable=True)
    return dispatch


def test_a_new_credential_is_tried_at_once_on_the_same_account() -> None:
    world = World()
    dispatch = refused(world)
    step = dispatch.next(world.now)
    assert isinstance(step, Renew)
    assert step.target.name == "a"
    dispatch.renewed(world.now)
    again = dispatch.next(world.now)
    assert isinstance(again, Attempt)
    assert (again.target.name, again.number, again.because) == ("a", 2, "its login was renewed")
    dispatch.ended(OK, world.now)
    assert dispatch.last is OK
    assert not world.cooldowns, "nothing is held against the account"


def test_a_second_refusal_counts_and_another_account_is_asked() -> None:
    world = World()
    dispatch = refused(world)
    dispatch.renewed(world.now)
    dispatch.next(world.now)
    dispatch.ended(AUTH, world.now, renewable=True)
    assert name_of(dispatch.next(world.now)) == "b"
    assert [cooldown.name for cooldown in world.cooldowns] == ["a"]


def test_no_new_credential_is_a_refusal_of_the_account() -> None:
    world = World()
    dispatch = refused(world)
    dispatch.next(world.now)
    dispatch.renewed(world.now, replace(AUTH, reason="needs_login"))
    assert name_of(dispatch.next(world.now)) == "b"
    assert [cooldown.reason for cooldown in world.cooldowns] == ["needs_login"]
    assert [outcome.reason for _, outcome in dispatch.attempts] == ["needs_login"]


def test_a_renewal_that_is_to_be_tried_later_is_worth_a_wait() -> None:
    """The only account: the request is held until the next try."""
    world = World(("a",))
    dispatch = refused(world)
    dispatch.renewed(world.now, replace(AUTH, reason=NOT_RENEWED, wait=5.0))
    step = dispatch.next(world.now)
    assert step.because == "every account is cooling: holding until the first is back"
    assert step.seconds == pytest.approx(5.0)  # type: ignore[union-attr]
    world.now += 5.0
    assert name_of(dispatch.next(world.now)) == "a"


def test_a_credential_that_cannot_be_renewed_is_refused_as_before() -> None:
    world = World()
    dispatch = world.dispatch()
    dispatch.next(world.now)
    dispatch.ended(AUTH, world.now)
    assert name_of(dispatch.next(world.now)) == "b"


def test_other_refusals_renew_nothing() -> None:
    world = World()
    dispatch = world.dispatch()
    dispatch.next(world.now)
    dispatch.ended(limited(60), world.now, renewable=True)
    assert name_of(dispatch.next(world.now)) == "b"


@pytest.mark.parametrize("policy", [{"max_attempts": 1}, {"deadline": 0.0}])
def test_a_request_that_may_not_be_sent_again_renews_nothing(policy: dict[str, object]) -> None:
    world = World()
    dispatch = refused(world, **policy)
    assert isinstance(dispatch.next(world.now), Stop)
    assert [cooldown.name for cooldown in world.cooldowns] == ["a"]


def test_with_balancing_off_and_for_what_is_bound_the_account_is_asked_again_too() -> None:
    for world, dispatch in ((w := World(), refused(w, failover=False)), (w := World(), refused(w))):
        dispatch.pin = "a"
        dispatch.next(world.now)
        dispatch.renewed(world.now)
        assert name_of(dispatch.next(world.now)) == "a"


def test_a_client_that_leaves_meanwhile_gives_the_probe_back() -> None:
    world = World(("a",))
    for _ in range(5):
        world.health.record("a", "m", TRANSIENT, world.now)
    world.now += 31.0
    dispatch = refused(world)
    dispatch.close()
    assert world.health.blocked("a", "m", world.now) is None, "somebody else may probe"


_ANSWERS = st.sampled_from([AUTH, OK, limited(60), replace(AUTH, redispatch=False)])


@given(st.lists(st.tuples(_ANSWERS, st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_p1_holds_whatever_is_refused_and_renewed(script: list[tuple[Outcome, bool, bool]]) -> None:
    world = World()
    dispatch = world.dispatch()
    renewals: list[str] = []
    tries: list[str] = []
    for outcome, renewable, works in script:
        step = dispatch.next(world.now)
        while isinstance(step, Renew):
            renewals.append(step.target.name)
            dispatch.renewed(world.now, None if works else replace(AUTH, reason="needs_login"))
            step = dispatch.next(world.now)
        if not isinstance(step, Attempt):
            break
        tries.append(step.target.name)
        dispatch.ended(outcome, world.now, renewable=renewable)
        if outcome.ok:
            break
    assert all(renewals.count(name) <= 1 for name in world.names)
    assert all(tries.count(name) <= 1 + renewals.count(name) for name in world.names)
