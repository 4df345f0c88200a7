"""What nobody announces: ends of cooldowns, breakers."""

from __future__ import annotations

import random

from mitm_balancer.core.breaker import BreakerPolicy
from mitm_balancer.core.health import Health
from mitm_balancer.core.verdict import SUCCESS, Outcome, Scope, Verdict
from mitm_balancer.ops.watch import HealthWatch

LIMITED = Outcome(Verdict.RATE_LIMITED, "burst", Scope.ACCOUNT, 10.0)
FAULT = Outcome(Verdict.TRANSIENT_SERVER_FAILURE, "500", Scope.ACCOUNT)


def told(watch: HealthWatch, now: float) -> list[tuple[str, str]]:
    return [(str(news.type), news.account) for news in watch.look(now)]


def test_what_holds_at_the_start_is_no_news_but_its_end_is() -> None:
    health = Health(random.Random(1))
    health.record("a/b", "", LIMITED, 100.0)
    watch = HealthWatch(health)

    assert told(watch, 100.0) == []
    assert told(watch, 105.0) == []
    assert told(watch, 112.0) == [("cooldown_ended", "a/b")]
    assert told(watch, 113.0) == []


def test_the_first_of_two_ends_is_seen_in_time() -> None:
    health = Health(random.Random(1))
    health.record("a/b", "", LIMITED, 100.0)
    health.record("a/c", "", Outcome(Verdict.RATE_LIMITED, "burst", Scope.ACCOUNT, 500.0), 100.0)
    watch = HealthWatch(health)
    watch.look(100.0)

    assert told(watch, 112.0) == [("cooldown_ended", "a/b")]


def test_an_end_by_hand_is_seen() -> None:
    health = Health(random.Random(1))
    watch = HealthWatch(health)
    health.record("a/b", "", LIMITED, 100.0)
    watch.look(100.0)
    health.clear("a/b")

    assert told(watch, 100.5) == [("cooldown_ended", "a/b")]


def test_one_that_began_and_ended_between_two_looks_is_seen() -> None:
    health = Health(random.Random(1))
    watch = HealthWatch(health)
    watch.look(99.0)
    cooldown = health.record("a/b", "opus", Outcome(Verdict.RATE_LIMITED, "burst", Scope.MODEL, 0.1), 100.0)
    assert cooldown is not None
    watch.started(cooldown)

    (news,) = watch.look(100.5)

    assert (news.type, news.data) == ("cooldown_ended", {"reason": "burst", "model": "opus"})


def test_a_breaker_that_opens_and_closes() -> None:
    health = Health(random.Random(1), BreakerPolicy(failure_threshold=2))
    watch = HealthWatch(health)
    for _ in range(2):
        health.record("a/b", "", FAULT, 100.0)
    (opened,) = watch.look(100.5)
    assert (opened.type, opened.account) == ("breaker_opened", "a/b")
    assert isinstance(opened.data["wait_s"], float) and opened.data["wait_s"] > 20
    assert told(watch, 140.0) == [], "half-open is not closed"

    health.chosen("a/b")
    health.record("a/b", "", SUCCESS, 141.0)

    assert told(watch, 141.5) == [("breaker_closed", "a/b")]
