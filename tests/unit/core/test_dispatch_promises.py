"""The promises of DESIGN section 6 that the dispatcher keeps: P1, P2, P3, P5, P6."""

from __future__ import annotations

import string

import pytest
from dispatch_world import (
    AMBIGUOUS,
    AUTH,
    CAPACITY,
    FAULT,
    OK,
    PARTIAL,
    POLICY,
    REFUSED,
    TRANSIENT,
    World,
    limited,
    quota,
)

from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.dispatch import Attempt, Pause
from mitm_balancer.core.verdict import Outcome, Scope, Verdict

MANY = string.ascii_lowercase


# -- P1 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [limited(3600), quota(86400), AUTH], ids=["429", "quota", "auth"])
def test_p1_definite_refusals_walk_the_whole_pool_once(refusal: Outcome) -> None:
    """Every account is asked, each once, in the operator's order, and the last one serves."""
    story = World("abcdefghi").run({n: [refusal] for n in "abcdefgh"} | {"i": [OK]})
    assert story.tried == "abcdefghi"
    assert story.pauses == []
    assert story.stop.because == "served"


def test_p1_never_more_than_max_attempts() -> None:
    """26 accounts that refuse: ten attempts, then the end."""
    story = World(MANY).run({n: [limited(3600)] for n in MANY})
    assert story.tried == MANY[:10]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_p1_max_attempts_is_a_setting(most: int) -> None:
    """Counted over all kinds of attempts of one request."""
    story = World(MANY).run({n: [limited(3600)] for n in MANY}, max_attempts=most)
    assert len(story.tried) == most


def test_p1_failover_budget_bounds_the_accounts_moved_on_to() -> None:
    """`failover_budget: 2` is the first account and two more."""
    assert World(MANY).run({n: [limited(3600)] for n in MANY}, failover_budget=2).tried == "abc"


def test_p1_the_stop_names_the_budget_that_ended_it() -> None:
    """`why` must not blame the retry budget for what the failover budget did."""
    story = World("ab").run({"a": [limited(3600)], "b": [OK]}, failover_budget=0)
    assert story.tried == "a"
    assert "failover" in story.stop.because


def test_p1_waiting_for_the_same_account_is_no_failover() -> None:
    """Without any failover budget a held request still returns to its only account."""
    assert World("a").run({"a": [limited(5), OK]}, failover_budget=0).tried == "aa"


@pytest.mark.parametrize("names", ["a", "ab", "abc", "abcdef"])
@pytest.mark.parametrize("failure", [TRANSIENT, CAPACITY, PARTIAL, REFUSED], ids=["500", "529", "partial", "connect"])
def test_p1_server_failures_get_at_most_two_extra_attempts(names: str, failure: Outcome) -> None:
    """However large the pool, and whether it rotates or backs off."""
    story = World(names).run({n: [failure] for n in names})
    assert 2 <= len(story.tried) <= 3
    assert max(story.tried.count(n) for n in names) <= 2


def test_p1_server_failures_between_refusals_are_counted_together() -> None:
    """Refusals in between do not refill the extra attempts (`c` fails second: back to the warm one, P3)."""
    answers = {"a": [TRANSIENT], "b": [limited(99)], "c": [TRANSIENT], "d": [OK]}
    assert World("abcd").run(answers).tried == "abca"


def test_p1_slow_server_failures_get_at_most_two_extra_attempts() -> None:
    """Too far apart to look like an outage (P3), so it rotates: two extra attempts all the same."""
    assert slow_walk([TRANSIENT] * 4) == "abc"


def test_p1_a_retry_of_the_warm_account_is_an_extra_attempt_as_well() -> None:
    """Two were used up on the way; the rest of the pool is out: no third one, for neither `a` nor `b`."""
    assert slow_walk([TRANSIENT, TRANSIENT, limited(9999), limited(9999)]) == "abcd"
    assert slow_walk([TRANSIENT, limited(9999), limited(9999), limited(9999), TRANSIENT]) == "abcda"


def test_p1_backoffs_are_extra_attempts_as_well() -> None:
    """In an outage (P3) with refusals in between: `a` and `b` were retried, so `c` is not."""
    answers = {"a": [TRANSIENT, limited(999)], "b": [TRANSIENT, limited(999)], "c": [TRANSIENT], "d": [OK]}
    world = World("abcd")
    world.scope.failed("p", "d", world.now)
    assert world.run(answers).tried == "aabbc"


def slow_walk(outcomes: list[Outcome]) -> str:
    """Accounts a to d, 11 s between two attempts."""
    world, tried = World("abcd"), ""
    dispatch = world.dispatch()
    for outcome in outcomes:
        while isinstance(step := dispatch.next(world.now), Pause):
            world.now += step.seconds
        if not isinstance(step, Attempt):
            return tried
        tried += step.target.name
        world.now += 11
        dispatch.ended(outcome, world.now)
    return tried + ("+" if isinstance(dispatch.next(world.now), Attempt | Pause) else "")


def test_p1_deadline_ends_the_walk() -> None:
    """No attempt starts once the deadline has passed."""
    world = World()
    dispatch = world.dispatch(deadline=30)
    assert isinstance(dispatch.next(world.now), Attempt)
    world.now += 30
    story = world.drive_from(dispatch, limited(3600))
    assert story.tried == ""
    assert "deadline" in story.stop.because


def test_p1_no_backoff_across_the_deadline() -> None:
    """A pause that ends after the deadline only keeps the client waiting for nothing."""
    world = World("a")
    dispatch = world.dispatch(deadline=30, backoff_base=5)
    dispatch.next(world.now)
    world.now += 28
    story = world.drive_from(dispatch, TRANSIENT)
    assert story.pauses == []
    assert "deadline" in story.stop.because


def test_p1_no_hold_across_the_deadline() -> None:
    """An account that is back after the deadline is not waited for, although `hold` would allow it."""
    world = World("a")
    dispatch = world.dispatch(deadline=30, hold=20)
    dispatch.next(world.now)
    world.now += 25
    story = world.drive_from(dispatch, limited(10))
    assert story.pauses == []
    assert story.stop.exhausted


# -- P2 ----------------------------------------------------------------------------------------------------------


def test_p2_an_outage_is_not_amplified() -> None:
    """200 requests in one instant, all failing: extra attempts stay within 20 % of them plus the reserve."""
    world = World("abc")
    attempts = sum(len(world.run({n: [CAPACITY] for n in "abc"}, backoff_base=0).tried) for _ in range(200))
    assert 200 < attempts <= 200 * 1.2 + 3


def test_p2_a_backoff_retry_is_paid_as_well() -> None:
    """One account only: the same bound."""
    world = World("a")
    attempts = sum(len(world.run({"a": [TRANSIENT]}, backoff_base=0).tried) for _ in range(200))
    assert 200 < attempts <= 200 * 1.2 + 3


def test_p2_an_upload_that_broke_off_is_paid_as_well() -> None:
    """Part of the request had left, so the provider worked: only an unmade connection is free."""
    world = World("abc")
    attempts = sum(len(world.run({n: [PARTIAL] for n in "abc"}, backoff_base=0).tried) for _ in range(200))
    assert 200 < attempts <= 200 * 1.2 + 3


def test_p2_an_empty_budget_never_blocks_a_redispatch_after_a_refusal() -> None:
    """Refusals are free."""
    world = World("abc")
    while world.budget.withdraw(world.now):
        pass
    assert world.run({"a": [limited(99)], "b": [quota(99)], "c": [OK]}).tried == "abc"


def test_p2_an_empty_budget_blocks_a_redispatch_after_a_server_failure() -> None:
    """And the request ends with the provider's own answer, at once."""
    world = World("abc")
    while world.budget.withdraw(world.now):
        pass
    story = world.run({"a": [TRANSIENT], "b": [OK]})
    assert story.tried == "a"
    assert story.stop.because == "retry budget empty"
    assert not story.stop.exhausted


def test_p2_nobody_backs_off_for_a_retry_that_cannot_be_paid() -> None:
    """The wait comes after the payment, not before the refusal."""
    world = World("a")
    while world.budget.withdraw(world.now):
        pass
    assert world.run({"a": [TRANSIENT]}).pauses == []


# -- P3 ----------------------------------------------------------------------------------------------------------


def test_p3_one_account_failing_alone_rotates() -> None:
    """At once, without a backoff."""
    story = World().run({"a": [TRANSIENT], "b": [OK]})
    assert story.tried == "ab"
    assert story.pauses == []


@pytest.mark.parametrize("failure", [TRANSIENT, CAPACITY, REFUSED], ids=["500", "529", "connect"])
def test_p3_two_accounts_failing_stop_the_rotation(failure: Outcome) -> None:
    """The third account is never asked: the second retries after a backoff."""
    story = World().run({n: [failure] for n in "abc"})
    assert "c" not in story.tried
    assert story.pauses


def test_p3_what_others_learnt_counts_for_a_new_request() -> None:
    """Once it is the provider, the next request keeps its account, backs off, and does not rotate at all."""
    world = World()
    world.run({n: [CAPACITY] for n in "abc"})
    world.budget = RetryBudget()
    story = world.run({n: [CAPACITY] for n in "abc"})
    assert story.tried == "aa"


@pytest.mark.parametrize("refusal", [limited(3600), quota(3600), AUTH], ids=["429", "quota", "auth"])
def test_p3_definite_refusals_never_count(refusal: Outcome) -> None:
    """Two refusals and one server failure are no outage."""
    world = World("abcd")
    story = world.run({"a": [refusal], "b": [refusal], "c": [TRANSIENT], "d": [OK]})
    assert story.tried == "abcd"
    assert not world.scope.provider_wide("p", world.now)


def test_p3_is_forgotten_after_ten_seconds() -> None:
    """What happened earlier says nothing about now."""
    world = World("abc")
    world.scope.failed("p", "b", world.now)
    world.now += 10.1
    assert world.run({"a": [TRANSIENT], "b": [OK]}).tried == "ab"


def test_p3_a_success_is_proof_against_an_outage() -> None:
    """An account that works ends the suspicion."""
    world = World("abc")
    world.scope.failed("p", "b", world.now)
    world.scope.failed("p", "c", world.now)
    assert world.run({"a": [OK]}).tried == "a"
    assert world.run({"a": [TRANSIENT], "b": [OK]}).tried == "ab"


# -- P5 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["a", "abcd"])
def test_p5_an_ambiguous_request_is_re_issued_once_only(names: str) -> None:
    """Two silences: the request may have been billed twice, and is never sent a third time."""
    story = World(names).run({n: [AMBIGUOUS] for n in names})
    assert len(story.tried) == 2
    assert "billed" in story.stop.because


@pytest.mark.parametrize("names", ["a", "abcd"])
def test_p5_retry_ambiguous_false_forbids_it(names: str) -> None:
    """One attempt, then a clean error."""
    story = World(names).run({n: [AMBIGUOUS] for n in names}, retry_ambiguous=False)
    assert len(story.tried) == 1
    assert "billed" in story.stop.because


def test_p5_ambiguous_after_other_failures_still_counts_once() -> None:
    """Neither a refusal nor a server failure in between gives another ambiguous re-issue."""
    story = World("abcde").run({"a": [AMBIGUOUS], "b": [limited(99)], "c": [AMBIGUOUS], "d": [OK]})
    assert story.tried == "abc"


@pytest.mark.parametrize("failure", [REFUSED, PARTIAL], ids=["connect", "partial"])
def test_p5_unsent_requests_are_safe_even_without_retry_ambiguous(failure: Outcome) -> None:
    """No provider bills an unfinished request."""
    assert World().run({"a": [failure], "b": [OK]}, retry_ambiguous=False).tried == "ab"


# -- P6 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [FAULT, POLICY], ids=["request", "policy"])
def test_p6_a_fault_of_the_request_is_returned_and_cools_nobody(fault: Outcome) -> None:
    """One attempt; no cooldown, no breaker, no scope, no budget."""
    world = World()
    before = world.budget.balance(world.now)
    for _ in range(20):
        assert world.run({"a": [fault]}).tried == "a"
    assert world.cooldowns == []
    assert world.health.blocked("a", "m", world.now) is None
    assert world.budget.balance(world.now) >= before


def test_p6_no_provider_table_can_make_a_request_fault_cool_an_account() -> None:
    """Scope and pushback of a table row do not matter for this class."""
    world = World()
    world.run({"a": [Outcome(Verdict.REQUEST_FAULT, "413", Scope.ACCOUNT, wait=3600)]})
    assert world.health.blocked("a", "m", world.now) is None


def test_p6_a_client_that_hangs_up_counts_for_nothing() -> None:
    """Neither for health nor for scope nor as an attempt."""
    world = World()
    for _ in range(20):
        dispatch = world.dispatch()
        dispatch.next(world.now)
        dispatch.cancelled()
    assert world.health.breaker_state("a", world.now) == "closed"
    assert not world.scope.provider_wide("p", world.now)
    assert world.cooldowns == []


def test_p6_a_client_that_hangs_up_gives_the_probe_slot_back() -> None:
    """The next request may probe at once."""
    world = World("ab")
    open_breaker(world, "a")
    world.now += 31
    first = world.dispatch()
    assert chosen(first, world) == "a"
    assert chosen(world.dispatch(), world) == "b", "one probe at a time"
    first.cancelled()
    assert chosen(world.dispatch(), world) == "a"


def test_p6_hanging_up_gives_back_only_ones_own_probe_slot() -> None:
    """A request from before the breaker opened has no slot to give."""
    world = World("ab")
    old = world.dispatch()
    assert chosen(old, world) == "a"
    open_breaker(world, "a")
    world.now += 31
    assert chosen(world.dispatch(), world) == "a"
    old.cancelled()
    assert chosen(world.dispatch(), world) == "b"


def test_p6_hanging_up_in_a_pause_is_harmless() -> None:
    """Nothing is under way then; twice is as good as once."""
    world = World("a")
    dispatch = world.dispatch()
    dispatch.next(world.now)
    dispatch.ended(TRANSIENT, world.now)
    assert isinstance(dispatch.next(world.now), Pause)
    dispatch.cancelled()
    dispatch.cancelled()
    assert len(dispatch.attempts) == 1


def open_breaker(world: World, name: str) -> None:
    for _ in range(5):
        world.health.record(name, "m", TRANSIENT, world.now)
    assert world.health.breaker_state(name, world.now) == "open"


def chosen(dispatch: object, world: World) -> str:
    step = dispatch.next(world.now)  # type: ignore[attr-defined]
    assert isinstance(step, Attempt)
    return step.target.name
