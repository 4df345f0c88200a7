"""When the user's work moves to another account it is told once, with why and until when."""

from __future__ import annotations

import random

import pytest
from recorded import AT, OPUS, record, tried

from mitm_balancer.core.health import Health
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.ops import words
from mitm_balancer.ops.switches import Switches

LIMITED = tried("anthropic/work", "RateLimited", reason="rate_limit_error", wait=700.0)
SPARE, WORK = tried("anthropic/spare"), tried("anthropic/work")


def told(switches: Switches, data: dict[str, object], at: float = AT) -> list[str]:
    return [event.message for event in (*switches.committed(data, at), *switches.completed(data, at))]


def cooled(switches: Switches, verdict: Verdict = Verdict.RATE_LIMITED, model: str = "") -> None:
    """anthropic/work rests for 12 minutes."""
    scope = Scope.MODEL if model else Scope.ACCOUNT
    health = Health(random.Random(1))
    found = health.record("anthropic/work", model, Outcome(verdict, "rate_limit_error", scope, 690.0), 50.0)
    assert found is not None
    switches.cooled(found, AT)


def test_a_failover_is_told_once_until_the_account_serves_again() -> None:
    switches = Switches()
    news = "anthropic/work is rate limited (back in 12 min): switching to spare"

    assert told(switches, record(LIMITED, SPARE)) == [news]
    assert told(switches, record(LIMITED, SPARE)) == [], "each of 64 that run side by side would be told"
    assert told(switches, record(WORK)) == []
    assert told(switches, record(LIMITED, SPARE)) == [news]


def test_an_account_that_is_passed_over_after_it_served_is_news_too() -> None:
    """Its limit came inside a stream, say: no attempt was refused."""
    switches = Switches()
    passed = {"passed_over": [{"account": "anthropic/work", "reason": "rate_limit_error", "back_in": 650.0}]}

    assert told(switches, record(SPARE, **passed)) == [], "it has not served since the start: that is no switch"
    assert told(switches, record(WORK)) == []
    cooled(switches, Verdict.QUOTA_EXHAUSTED)
    assert told(switches, record(SPARE, **passed)) == [
        "anthropic/work has used up its quota (back in 11 min): switching to spare"
    ]


def test_an_operators_pause_has_its_own_words() -> None:
    switches = Switches()
    told(switches, record(WORK))

    passed = {"passed_over": [{"account": "anthropic/work", "reason": "paused by the operator"}]}

    assert told(switches, record(SPARE, **passed)) == [
        "anthropic/work is out (paused by the operator): switching to spare"
    ]


def test_the_event_says_what_there_is_to_know() -> None:
    switches = Switches()
    cooled(switches)

    (event,) = switches.committed(record(LIMITED, SPARE), AT)

    assert (event.type, event.account) == ("failover_performed", "anthropic/spare")
    assert event.data["previous"] == "anthropic/work"
    assert event.data["reason"] == "rate_limit_error"
    assert event.data["request_id"] == "aaaabbbbcccc"
    assert 690 <= event.data["wait_s"] <= 720  # type: ignore[operator]


def test_a_model_that_is_out_says_nothing_of_others() -> None:
    switches = Switches()
    told(switches, record(WORK))
    cooled(switches, model=OPUS)
    passed = {"passed_over": [{"account": "anthropic/work", "reason": "x", "back_in": 5.0}]}

    assert told(switches, record(SPARE, model="haiku", **passed)) == [
        "anthropic/work is out (x) (back in 5 s): switching to spare"
    ]


@pytest.mark.parametrize("change", [{"account": "none", "status": 429}, {"account": "client"}, {"status": 400}])
def test_no_switch_where_no_account_serves(change: dict[str, object]) -> None:
    assert told(Switches(), record(LIMITED, SPARE, **change)) == []


def test_another_provider_is_not_told_of_here() -> None:
    assert told(Switches(), record(LIMITED, tried("zai/a"))) == []


def test_exhaustion_is_told_once_until_somebody_serves() -> None:
    switches = Switches()
    out = record(LIMITED, exhausted=True, back_in=700.0, stopped="every account is cooling")
    news = "every anthropic account is out: the first is back in 12 min"

    assert told(switches, out) == [news]
    assert told(switches, out) == []
    told(switches, record(WORK))
    assert told(switches, out) == [news]


@pytest.mark.parametrize(
    "verdict", [v for v in Verdict if v is not Verdict.SUCCESS and v is not Verdict.POLICY_FAILURE]
)
def test_every_verdict_that_can_move_work_has_words(verdict: Verdict) -> None:
    if verdict is not Verdict.REQUEST_FAULT:  # it moves nothing
        assert not words.state(verdict).startswith("is out")


def test_nobody_is_told_to_wait_for_what_does_not_pass_by_waiting() -> None:
    assert words.limited("a/b", "", Verdict.AUTH_FAILURE, 3600) == "a/b is refused: it needs a new login or key"
    assert words.exhausted("a", None) == "every a account is out: none comes back by itself"
