"""Cooldowns: how long, for which model, how they grow, fade, are restored and cleared."""

from __future__ import annotations

import random

import pytest
from dispatch_world import (
    AMBIGUOUS,
    AUTH,
    CAPACITY,
    FAULT,
    NO_MODEL,
    OK,
    POLICY,
    START,
    TRANSIENT,
    NoJitter,
    limited,
    quota,
)

from mitm_balancer.core.health import ALL_MODELS, Cooldown, Health
from mitm_balancer.core.verdict import Outcome, Scope, Verdict

DAY = 86400.0


def fresh() -> Health:
    return Health(NoJitter())


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (limited(), 60),
        (limited(7), 7),
        (limited(5 * DAY), 5 * DAY),
        (limited(0), 0),
        (quota(), 1800),
        (quota(6 * DAY), 6 * DAY),
        (AUTH, 3600),
        (Outcome(Verdict.PERMISSION_FAILURE, "403", Scope.ACCOUNT), DAY),
        (Outcome(Verdict.REGION_RESTRICTION, "region", Scope.ACCOUNT), DAY),
        (NO_MODEL, DAY / 2),
    ],
)
def test_a_cooldown_lasts_as_the_provider_says_or_its_default(outcome: Outcome, seconds: float) -> None:
    """Seconds; the provider's word wins over every default and every ceiling."""
    cooldown = fresh().record("a", "m", outcome, START)
    assert cooldown is not None
    assert cooldown.duration == seconds
    assert cooldown.until == START + seconds


@pytest.mark.parametrize(
    "outcome",
    [
        OK,
        TRANSIENT,
        CAPACITY,
        AMBIGUOUS,
        FAULT,
        POLICY,
        Outcome(Verdict.INTERRUPTED_EXECUTION, "cut", Scope.ACCOUNT),
        Outcome(Verdict.RATE_LIMITED, "overloaded", Scope.ACCOUNT, wait=30, capacity=True),
        Outcome(Verdict.RATE_LIMITED, "x", Scope.REQUEST, wait=30),
        Outcome(Verdict.PERMISSION_FAILURE, "403"),
        Outcome(Verdict.TRANSIENT_SERVER_FAILURE, "503", Scope.ACCOUNT, wait=3600),
    ],
    ids=lambda o: f"{o.verdict.value}-{o.reason}",
)
def test_what_benches_nobody(outcome: Outcome) -> None:
    """Server failures belong to the breaker, capacity to the provider, faults to the request."""
    health = fresh()
    assert health.record("a", "m", outcome, START) is None
    assert health.blocked("a", "m", START) is None


def test_a_rate_limit_without_a_word_grows_from_one_to_five_minutes() -> None:
    """60, 120, 240, 300, 300 ... seconds."""
    assert growth(limited(), 6) == [60, 120, 240, 300, 300, 300]


def test_a_quota_without_a_word_grows_from_half_an_hour_to_a_day() -> None:
    """DESIGN section 5: 30 min, doubling to 24 h."""
    assert growth(quota(), 8) == [1800, 3600, 7200, 14400, 28800, 57600, DAY, DAY]


def growth(outcome: Outcome, times: int) -> list[float]:
    """The same refusal each time that the account comes back."""
    health, now, seen = fresh(), START, []
    for _ in range(times):
        cooldown = health.record("a", "m", outcome, now)
        assert cooldown is not None
        seen.append(cooldown.duration)
        now = cooldown.until + 1
    return seen


@pytest.mark.parametrize("outcome", [limited(), quota()], ids=["429", "quota"])
def test_a_burst_is_one_strike(outcome: Outcome) -> None:
    """Ten requests under way at once are refused together: the account is not out for a day because of that."""
    health = fresh()
    first = health.record("a", "m", outcome, START)
    assert first is not None
    for i in range(1, 10):
        health.record("a", "m", outcome, START + i / 10)
    held = health.cooldown("a", "m", START + 1)
    assert held is not None
    assert held.duration == first.duration
    assert held.strikes == 1


def test_strikes_of_one_kind_do_not_grow_the_other() -> None:
    """Short rate limits say nothing about how long a quota lasts."""
    health, now = fresh(), START
    for _ in range(5):
        cooldown = health.record("a", "m", limited(), now)
        assert cooldown is not None
        now = cooldown.until + 1
    cooldown = health.record("a", "m", quota(), now)
    assert cooldown is not None
    assert cooldown.duration == 1800


@pytest.mark.parametrize(("peace", "seconds"), [(599, 120), (600, 60)])
def test_strikes_fade_after_ten_minutes_of_peace(peace: float, seconds: float) -> None:
    """Counted from the end of the cooldown."""
    health = fresh()
    health.record("a", "m", limited(), START)
    again = health.record("a", "m", limited(), START + 60 + peace)
    assert again is not None
    assert again.duration == seconds


@pytest.mark.parametrize(("wait", "most"), [(10, 1), (60, 6), (300, 30), (DAY, 30)])
def test_jitter_is_never_early_and_bounded(wait: float, most: float) -> None:
    """Up to 10 %, at most 30 s, late: nobody returns before the provider's time."""
    health = Health(random.Random(7))
    spread = set()
    for i in range(200):
        cooldown = health.record(f"a{i}", "m", limited(wait), START)
        assert cooldown is not None
        assert START + wait <= cooldown.until <= START + wait + most
        spread.add(cooldown.until)
    assert max(spread) - min(spread) > most / 2, "it does spread"


def test_a_cooldown_holds_until_its_end_and_no_longer() -> None:
    """Half-open interval: at `until` the account may serve."""
    health = fresh()
    health.record("a", "m", limited(10), START)
    assert health.blocked("a", "m", START + 9.999) is not None
    assert health.blocked("a", "m", START + 10) is None


def test_a_model_cooldown_is_for_that_model_only() -> None:
    """The account goes on with its other models, and with requests whose model is unknown."""
    health = fresh()
    health.record("a", "opus", limited(10, Scope.MODEL), START)
    assert health.blocked("a", "opus", START) is not None
    assert health.blocked("a", "haiku", START) is None
    assert health.blocked("a", "", START) is None
    assert health.blocked("b", "opus", START) is None


def test_an_account_cooldown_is_for_every_model() -> None:
    """The unknown one included."""
    health = fresh()
    health.record("a", "opus", limited(10), START)
    assert all(health.blocked("a", model, START) for model in ("opus", "haiku", ""))


def test_the_longer_of_two_scopes_is_told() -> None:
    """A retry-after made of the shorter one would be a lie."""
    health = fresh()
    health.record("a", "m", limited(10), START)
    health.record("a", "m", limited(50, Scope.MODEL), START)
    held = health.cooldown("a", "m", START)
    assert held is not None
    assert held.until == START + 50
    health.record("a", "m", limited(90), START)
    held = health.cooldown("a", "m", START)
    assert held is not None
    assert held.until == START + 90


def test_an_unknown_model_that_is_missing_does_not_bench_the_account() -> None:
    """A body that we could not read must not cost all models for twelve hours."""
    health = fresh()
    assert health.record("a", "", NO_MODEL, START) is None
    assert health.blocked("a", "other", START) is None


def test_an_unknown_model_that_is_limited_benches_the_account() -> None:
    """The safe side of a limit is to obey it."""
    health = fresh()
    health.record("a", "", limited(10, Scope.MODEL), START)
    assert health.blocked("a", "any", START) is not None


def test_a_shorter_cooldown_never_shortens_a_longer_one() -> None:
    """Neither here nor, since nothing is returned for it, in the store (P8)."""
    health = fresh()
    health.record("a", "m", quota(3600), START)
    assert health.record("a", "m", limited(5), START + 1) is None
    assert health.blocked("a", "m", START + 3599) is not None


def test_restore_brings_a_cooldown_back() -> None:
    """As it was persisted, whichever is the later one."""
    health = fresh()
    assert health.restore(stored(START + 50))
    assert not health.restore(stored(START + 20))
    assert health.blocked("a", "m", START + 49) is not None
    assert health.restore(stored(START + 90))
    assert health.blocked("a", "m", START + 89) is not None
    assert [c.until for c in health.cooldowns(START)] == [START + 90]
    assert list(health.cooldowns(START + 90)) == []


def test_a_restored_cooldown_keeps_its_strikes() -> None:
    """A restart is no peace."""
    health = fresh()
    health.restore(stored(START, strikes=2))
    cooldown = health.record("a", "m", limited(), START + 1)
    assert cooldown is not None
    assert cooldown.duration == 240


def stored(until: float, strikes: int = 1) -> Cooldown:
    return Cooldown("a", ALL_MODELS, until, 60, "429", Verdict.RATE_LIMITED, strikes)


def test_clear_forgets_one_model_or_everything() -> None:
    """And the breaker with everything; other accounts are untouched; unknown names are no error."""
    health = fresh()
    health.record("a", "x", limited(10, Scope.MODEL), START)
    health.record("a", "y", limited(10, Scope.MODEL), START)
    health.record("b", "x", limited(10), START)
    health.clear("a", "x")
    assert health.blocked("a", "x", START) is None
    assert health.blocked("a", "y", START) is not None
    for _ in range(5):
        health.record("a", "z", TRANSIENT, START)
    health.clear("a")
    assert health.blocked("a", "y", START) is None
    assert health.blocked("a", "z", START) is None
    assert health.blocked("b", "x", START) is not None
    health.clear("nobody")
    health.clear("nobody", "x")


@pytest.mark.parametrize(
    ("outcome", "waitable"), [(limited(), True), (quota(), True), (AUTH, False)], ids=["429", "quota", "auth"]
)
def test_only_what_waiting_cures_is_waitable(outcome: Outcome, waitable: bool) -> None:
    """A refused credential comes back by the operator's hand."""
    health = fresh()
    health.record("a", "m", outcome, START)
    block = health.blocked("a", "m", START)
    assert block is not None
    assert block.waitable is waitable
