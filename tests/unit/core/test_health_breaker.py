"""The breaker: our own judgement after repeated faults, with one probe at a time."""

from __future__ import annotations

import pytest
from dispatch_world import AMBIGUOUS, CAPACITY, FAULT, OK, POLICY, START, TRANSIENT, NoJitter, World, limited

from mitm_balancer.core.dispatch import Attempt
from mitm_balancer.core.health import Health
from mitm_balancer.core.verdict import Outcome, Scope, Verdict

CUT = Outcome(Verdict.INTERRUPTED_EXECUTION, "cut", Scope.ACCOUNT)


def tripped(times: int = 5, fault: Outcome = TRANSIENT) -> Health:
    """So many faults, a second apart, the last one at START."""
    health = Health(NoJitter())
    for before in reversed(range(times)):
        health.record("a", "m", fault, START - before)
    return health


@pytest.mark.parametrize("fault", [TRANSIENT, AMBIGUOUS, CUT], ids=lambda o: o.verdict.value)
def test_five_faults_in_a_row_open_it(fault: Outcome) -> None:
    """Four do not."""
    assert tripped(4, fault).breaker_state("a", START) == "closed"
    health = tripped(5, fault)
    assert health.breaker_state("a", START) == "open"
    block = health.blocked("a", "m", START)
    assert block is not None
    assert block.breaker
    assert block.until == START + 30


@pytest.mark.parametrize("outcome", [CAPACITY, FAULT, POLICY], ids=["capacity", "request", "policy"])
def test_what_is_not_the_accounts_fault_never_opens_it(outcome: Outcome) -> None:
    """However often."""
    assert tripped(50, outcome).breaker_state("a", START) == "closed"


def test_an_answer_in_between_starts_the_count_again() -> None:
    """A refusal is an answer as well: the account is reached."""
    for answer in (OK, limited(0)):
        health = tripped(4)
        health.record("a", "m", answer, START)
        for _ in range(4):
            health.record("a", "m", TRANSIENT, START)
        assert health.breaker_state("a", START) == "closed"


def test_stragglers_do_not_keep_it_open_for_longer() -> None:
    """Twenty requests under way when it opened, all failing: still 30 s, not five minutes."""
    health = tripped(5)
    for i in range(20):
        health.record("a", "m", TRANSIENT, START + i / 20)
    assert health.breaker_state("a", START + 29) == "open"
    assert health.breaker_state("a", START + 30) == "half-open"


def test_one_probe_at_a_time() -> None:
    """The first one that is chosen holds the slot; the second is told so."""
    health = tripped()
    now = START + 30
    assert health.blocked("a", "m", now) is None
    assert health.chosen("a") is True
    assert health.chosen("a") is False
    block = health.blocked("a", "m", now)
    assert block is not None
    assert block.breaker


def test_a_good_probe_closes_it() -> None:
    """And the count starts again."""
    health = tripped()
    health.chosen("a")
    health.record("a", "m", OK, START + 31)
    assert health.breaker_state("a", START + 31) == "closed"
    assert health.blocked("a", "m", START + 31) is None


def test_bad_probes_keep_it_open_for_longer_up_to_five_minutes() -> None:
    """30, 60, 120, 240, 300, 300 seconds."""
    health, now, seen = tripped(), START, []
    for _ in range(6):
        block = health.blocked("a", "m", now)
        assert block is not None
        assert block.until is not None
        seen.append(block.until - now)
        now = block.until
        assert health.chosen("a")
        health.record("a", "m", TRANSIENT, now)
    assert seen == [30, 60, 120, 240, 300, 300]


@pytest.mark.parametrize("outcome", [FAULT, POLICY, CAPACITY], ids=["request", "policy", "capacity"])
def test_a_probe_that_proves_nothing_gives_its_slot_back(outcome: Outcome) -> None:
    """Half-open stays half-open, and the next request may probe."""
    health = tripped()
    now = START + 30
    health.chosen("a")
    health.record("a", "m", outcome, now)
    assert health.breaker_state("a", now) == "half-open"
    assert health.blocked("a", "m", now) is None


def test_a_closed_breaker_has_no_probe_slot() -> None:
    """Any number of requests at once."""
    health = tripped(3)
    assert health.chosen("a") is False
    assert health.chosen("a") is False
    assert health.blocked("a", "m", START) is None


def test_an_open_breaker_makes_room_for_another_account() -> None:
    """As long as there is one."""
    world = World("ab", health=tripped())
    assert world.run({"b": [OK]}).tried == "b"


def test_never_eject_the_last_one() -> None:
    """All breakers open, or the others cooling: work goes on, at once."""
    world = World("ab", health=tripped())
    world.health.record("b", "m", limited(3600), world.now)
    story = world.run({"a": [OK]})
    assert story.tried == "a"
    assert story.pauses == []
    step = story.steps[0]
    assert isinstance(step, Attempt)
    assert step.because == "last one left"


def test_a_cooldown_counts_even_for_the_last_one() -> None:
    """The provider's word is no guess of ours: an open breaker does not lift a cooldown."""
    world = World("a", health=tripped())
    world.health.record("a", "m", limited(3600), world.now)
    story = world.run({"a": [OK]})
    assert story.tried == ""
    assert story.stop.exhausted
