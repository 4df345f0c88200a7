"""The breaker's parameters of the contract beyond the count in a row."""

from __future__ import annotations

from dispatch_world import FAULT, OK, START, TRANSIENT, NoJitter

from mitm_balancer.core.breaker import BreakerPolicy
from mitm_balancer.core.health import Health
from mitm_balancer.core.verdict import Outcome

POLICY = BreakerPolicy(failure_threshold=50, failure_rate_threshold=0.5, sliding_window_size=10)


def health(policy: BreakerPolicy, outcomes: list[Outcome]) -> Health:
    made = Health(NoJitter(), policy)
    for outcome in outcomes:
        made.record("a", "m", outcome, START)
    return made


def test_half_of_a_full_window_opens_it() -> None:
    """Not of a window that is not full, and not less than half."""
    every_other = [OK, TRANSIENT] * 5
    assert health(POLICY, every_other[1:]).breaker_state("a", START) == "closed"
    assert health(POLICY, every_other).breaker_state("a", START) == "open"
    assert health(POLICY, [OK, OK, OK, TRANSIENT] * 20).breaker_state("a", START) == "closed"


def test_the_window_slides() -> None:
    """What is older than its size has no say."""
    old = [TRANSIENT] * 4 + [OK] * 10
    assert health(POLICY, [*old, *[TRANSIENT] * 4]).breaker_state("a", START) == "closed"
    assert health(POLICY, [*old, *[TRANSIENT] * 5]).breaker_state("a", START) == "open"


def test_faults_of_requests_have_no_place_in_the_window() -> None:
    """They neither fill it nor dilute it."""
    assert health(POLICY, [OK, TRANSIENT, FAULT] * 5).breaker_state("a", START) == "open"
    assert health(POLICY, [*[FAULT] * 20, *[TRANSIENT] * 9]).breaker_state("a", START) == "closed"


def test_it_closes_after_as_many_good_probes_as_asked() -> None:
    """One bad one in between, and the count starts again; closed, the window is empty."""
    made = health(BreakerPolicy(success_threshold=2), [TRANSIENT] * 5)
    now = START + 30
    for outcome, state in ((OK, "half-open"), (TRANSIENT, "open")):
        assert made.chosen("a")
        made.record("a", "m", outcome, now)
        assert made.breaker_state("a", now) == state
    now += 60
    for state in ("half-open", "closed"):
        assert made.blocked("a", "m", now) is None
        assert made.chosen("a")
        made.record("a", "m", OK, now)
        assert made.breaker_state("a", now) == state
    for _ in range(4):
        made.record("a", "m", TRANSIENT, now)
    assert made.breaker_state("a", now) == "closed"


def test_as_many_probes_at_once_as_allowed() -> None:
    """And a slot that is given back is free for the next."""
    made = health(BreakerPolicy(half_open_max_probes=2), [TRANSIENT] * 5)
    now = START + 30
    assert [made.chosen("a") for _ in range(3)] == [True, True, False]
    assert made.blocked("a", "m", now) is not None
    made.cancelled("a")
    assert made.blocked("a", "m", now) is None
    assert made.chosen("a")
