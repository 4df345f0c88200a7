"""The verdict table of DESIGN section 5, holds, and what the dispatcher says when it is over."""

from __future__ import annotations

import dataclasses

import pytest
from dispatch_world import (
    AMBIGUOUS,
    AUTH,
    CAPACITY,
    FAULT,
    NO_MODEL,
    OK,
    POLICY,
    REFUSED,
    TRANSIENT,
    World,
    limited,
    quota,
)

from mitm_balancer.core.dispatch import Attempt, Dispatch, DispatchPolicy, Pause, Stop
from mitm_balancer.core.priority import Priority, TargetInfo
from mitm_balancer.core.verdict import Outcome, Scope, Verdict

FORBIDDEN = Outcome(Verdict.PERMISSION_FAILURE, "403", status=403)
FORBIDDEN_ACCOUNT = Outcome(Verdict.PERMISSION_FAILURE, "403", Scope.ACCOUNT, redispatch=True, status=403)
REGION = Outcome(Verdict.REGION_RESTRICTION, "region", Scope.ACCOUNT, status=403)
CUT = Outcome(Verdict.INTERRUPTED_EXECUTION, "cut", Scope.ACCOUNT)


@pytest.mark.parametrize(
    ("outcome", "tried"),
    [
        (OK, "a"),
        (limited(3600), "ab"),
        (quota(3600), "ab"),
        (AUTH, "ab"),
        (FORBIDDEN, "a"),
        (FORBIDDEN_ACCOUNT, "ab"),
        (POLICY, "a"),
        (REGION, "a"),
        (NO_MODEL, "ab"),
        (TRANSIENT, "ab"),
        (CAPACITY, "ab"),
        (REFUSED, "ab"),
        (AMBIGUOUS, "ab"),
        (CUT, "a"),
        (FAULT, "a"),
    ],
    ids=lambda v: f"{v.verdict.value}-{v.reason}" if isinstance(v, Outcome) else None,
)
def test_verdict_table_with_a_second_account(outcome: Outcome, tried: str) -> None:
    """Returned to the client, or redispatched, without any pause."""
    story = World("ab").run({"a": [outcome], "b": [OK]})
    assert story.tried == tried
    assert story.pauses == []
    assert not story.stop.exhausted
    assert not story.stop.empty


@pytest.mark.parametrize(
    ("outcome", "tried", "pauses", "exhausted"),
    [
        (limited(3600), "a", 0, True),
        (quota(), "a", 0, True),
        (AUTH, "a", 0, False),
        (FORBIDDEN_ACCOUNT, "a", 0, False),
        (POLICY, "a", 0, False),
        (NO_MODEL, "a", 0, False),
        (FAULT, "a", 0, False),
        (TRANSIENT, "aa", 1, False),
        (CAPACITY, "aa", 1, False),
        (REFUSED, "aa", 1, False),
        (AMBIGUOUS, "aa", 1, False),
        (limited(5), "aa", 1, True),
    ],
    ids=lambda v: f"{v.verdict.value}-{v.reason}-{v.wait}" if isinstance(v, Outcome) else None,
)
def test_verdict_table_with_a_single_account(outcome: Outcome, tried: str, pauses: int, exhausted: bool) -> None:
    """One backoff retry for server failures; only cooldowns that waiting cures make the answer ours (P11)."""
    story = World("a").run({"a": [outcome]}, hold=8)
    assert story.tried == tried
    assert len(story.pauses) == pauses
    assert story.stop.exhausted is exhausted
    assert not story.stop.empty


def test_a_missing_model_is_not_called_a_wait() -> None:
    """Every account says 404: the client gets that answer, not a 429 for twelve hours; later ones go their own way."""
    world = World("ab")
    story = world.run({n: [NO_MODEL] for n in "ab"})
    assert story.tried == "ab"
    assert not story.stop.exhausted
    assert world.run({}).stop.empty
    assert world.run({"a": [OK]}, model="other").tried == "a"


# -- holds -------------------------------------------------------------------------------------------------------


def test_hold_waits_for_the_first_that_comes_back() -> None:
    """To the second, and then serves with that one."""
    story = World("abc").run({"a": [limited(15), OK], "b": [limited(9), OK], "c": [limited(3600)]})
    assert story.tried == "abcb"
    assert story.pauses == [9]


def test_hold_before_the_first_attempt() -> None:
    """All cool already: the request waits, and nothing counts as an attempt."""
    world = World("ab")
    world.health.record("a", "m", limited(12), world.now)
    world.health.record("b", "m", limited(99), world.now)
    story = world.run({"a": [OK]})
    assert story.pauses == [12]
    assert story.tried == "a"


@pytest.mark.parametrize(("wait", "held"), [(20, True), (20.5, False)])
def test_hold_is_not_longer_than_hold(wait: float, held: bool) -> None:
    """A longer wait is told to the client, at once and truly."""
    world = World("a")
    world.health.record("a", "m", limited(wait), world.now)
    story = world.run({"a": [OK]})
    assert bool(story.pauses) is held
    if not held:
        assert story.stop == Stop("every account is cooling", exhausted=True, wait=wait)


def test_holds_of_one_request_add_up() -> None:
    """9 s for `a`, then `b` is back in 6 s more: inside a hold of 15 s, beyond one of 14 s."""
    assert World("ab").run({"a": [limited(9)], "b": [limited(15), OK]}, hold=15).pauses == [9, 6]
    story = World("ab").run({"a": [limited(9)], "b": [limited(15), OK]}, hold=14)
    assert story.pauses == [9]
    assert story.stop == Stop("every account is cooling", exhausted=True, wait=6)


def test_after_a_hold_an_account_is_not_tried_twice_in_a_row() -> None:
    """Its second try is for who had one before the hold; after it, the same account again needs a backoff (P1)."""
    world = World("a")
    world.health.record("a", "m", limited(5), world.now)
    story = world.run({"a": [AMBIGUOUS, OK]})
    assert [type(step) for step in story.steps] == [Pause, Attempt, Pause, Attempt, Stop]


def test_hold_zero_never_waits() -> None:
    """The operator's choice."""
    assert World("a").run({"a": [limited(1)]}, hold=0).pauses == []


def test_the_told_wait_is_the_soonest_accounts() -> None:
    """Not the first one's and not the last one's."""
    stop = World("abc").run({"a": [limited(300)], "b": [limited(100)], "c": [limited(200)]}).stop
    assert stop.exhausted
    assert stop.wait == 100


def test_a_refused_credential_is_not_waited_for() -> None:
    """`a` needs a new key; the soonest one that waiting brings back is `b`."""
    stop = World("ab").run({"a": [AUTH], "b": [limited(7200)]}).stop
    assert stop.exhausted
    assert stop.wait == 7200


def test_a_healthy_account_is_retried_before_the_pool_is_called_exhausted() -> None:
    """`a` had one bad moment, `b` is out for an hour: one backoff on `a` beats telling the client to wait an hour."""
    story = World("ab").run({"a": [TRANSIENT, OK], "b": [limited(3600)]})
    assert story.tried == "aba"
    assert story.stop.because == "served"


def test_a_model_cooldown_leaves_the_account_to_its_other_models() -> None:
    """Section 5: per account or per model, as the headers say."""
    world = World("ab")
    assert world.run({"a": [limited(3600, Scope.MODEL)], "b": [OK]}, model="opus").tried == "ab"
    world.priority.active = None
    assert world.run({"a": [OK]}, model="haiku").tried == "a"
    world.priority.active = None
    assert world.run({"b": [OK]}, model="opus").tried == "b"


def test_an_account_that_began_to_cool_during_a_backoff_is_left_alone() -> None:
    """Another request was told to wait meanwhile: the provider's clock always counts."""
    world = World("a")
    dispatch = world.dispatch()
    dispatch.next(world.now)
    dispatch.ended(TRANSIENT, world.now)
    pause = dispatch.next(world.now)
    assert isinstance(pause, Pause)
    world.health.record("a", "m", limited(3600), world.now)
    world.now += pause.seconds
    stop = dispatch.next(world.now)
    assert isinstance(stop, Stop)
    assert stop.exhausted


def test_the_others_take_over_when_the_warm_account_began_to_cool() -> None:
    """The backoff was for `a`; with `a` gone, `b` serves."""
    world = World("ab")
    world.scope.failed("p", "b", world.now)
    dispatch = world.dispatch()
    dispatch.next(world.now)
    dispatch.ended(TRANSIENT, world.now)
    pause = dispatch.next(world.now)
    assert isinstance(pause, Pause)
    world.health.record("a", "m", limited(3600), world.now)
    world.now += pause.seconds
    assert world.drive(dispatch, {"b": [OK]}).tried == "b"


# -- backoff -----------------------------------------------------------------------------------------------------


def test_backoff_grows_and_is_bounded() -> None:
    """base * multiplier ** n, at most `backoff_max`; without jitter exactly that."""
    world = World("ab")
    world.scope.failed("p", "z", world.now)
    story = world.run({n: [TRANSIENT] for n in "ab"}, backoff_base=1, backoff_multiplier=10, backoff_max=5)
    assert story.pauses == [1]
    late = World("ab").run({n: [TRANSIENT] for n in "ab"}, backoff_base=1, backoff_multiplier=10, backoff_max=5)
    assert late.pauses == [5]


def test_full_jitter_stays_between_zero_and_the_ceiling() -> None:
    """AWS's full jitter: anything from nothing to the ceiling."""
    seen = []
    for _ in range(100):
        dispatch = World("a").dispatch(jitter=True, backoff_base=1)
        dispatch.rng = Halves()
        dispatch.next(1000)
        dispatch.ended(TRANSIENT, 1000)
        pause = dispatch.next(1000)
        assert isinstance(pause, Pause)
        seen.append(pause.seconds)
    assert set(seen) == {0.5}


class Halves:
    def uniform(self, a: float, b: float, /) -> float:
        return (a + b) / 2

    def random(self) -> float:
        return 0.5


# -- balancing off, empty pools, order --------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [limited(1), quota(), AUTH, TRANSIENT, REFUSED, AMBIGUOUS])
def test_balancing_off_makes_one_attempt(outcome: Outcome) -> None:
    """No failover, no retry, no hold: the provider's answer goes to the client."""
    story = World("ab").run({"a": [outcome]}, failover=False)
    assert story.tried == "a"
    assert story.pauses == []
    assert not story.stop.exhausted


@pytest.mark.parametrize(
    "target",
    [
        TargetInfo("a", "p", enabled=False),
        TargetInfo("a", "p", usable="no credential"),
        TargetInfo("a", "p", models=("gpt-*",)),
    ],
    ids=["disabled", "no credential", "other models"],
)
def test_a_pool_that_waiting_cannot_fill_is_empty(target: TargetInfo) -> None:
    """P10: the client's own request goes through, at once."""
    world = World()
    world.priority = Priority([target])
    story = world.run({}, model="claude")
    assert story.stop.empty
    assert story.steps == [story.stop]


def test_a_pool_without_accounts_is_empty() -> None:
    """Nothing to wait for."""
    assert World("").run({}).stop.empty


def test_it_stays_on_the_account_that_served() -> None:
    """The prompt cache lives there: `a` coming back does not pull the session over."""
    world = World("ab")
    assert world.run({"a": [limited(10)], "b": [OK]}).tried == "ab"
    world.now += 3600
    assert world.run({"b": [OK]}).tried == "b"


def test_attempts_are_numbered_from_one() -> None:
    """As `why` shows them."""
    story = World("abc").run({"a": [limited(99)], "b": [limited(99)], "c": [OK]})
    assert [(s.number, s.because) for s in story.steps if isinstance(s, Attempt)] == [
        (1, "operator order"),
        (2, "redispatch"),
        (3, "redispatch"),
    ]


def test_cooldowns_are_given_to_the_store_once() -> None:
    """One for each refusal; none for a server failure."""
    world = World("abc")
    world.run({"a": [limited(99)], "b": [TRANSIENT], "c": [OK]})
    assert [c.name for c in world.cooldowns] == ["a"]


def test_ended_without_an_attempt_is_a_bug_of_the_driver() -> None:
    """And says so."""
    with pytest.raises(AssertionError):
        World().dispatch().ended(OK, 0)


def test_the_policy_defaults_are_the_contracts() -> None:
    """DESIGN section 7, in seconds."""
    assert dataclasses.asdict(DispatchPolicy()) == {
        "max_attempts": 10,
        "failover_budget": 9,
        "deadline": 900,
        "hold": 20,
        "retry_ambiguous": True,
        "failover": True,
        "backoff_base": 0.25,
        "backoff_multiplier": 2,
        "backoff_max": 5,
        "jitter": True,
    }


def test_last_is_the_latest_outcome() -> None:
    """None before the first."""
    world = World("ab")
    dispatch: Dispatch = world.dispatch()
    assert dispatch.last is None
    world.drive(dispatch, {"a": [limited(99)], "b": [OK]})
    assert dispatch.last is OK
