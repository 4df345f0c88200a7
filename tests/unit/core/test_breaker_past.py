"""How the past fades, and whose faults count: the network here is nobody's account."""

from __future__ import annotations

import random

import pytest
from dispatch_world import AMBIGUOUS, CAPACITY, FAULT, OK, REFUSED, START, TRANSIENT, NoJitter, World, limited

from mitm_balancer.core.breaker import FORGET, HEALTHY, SPREAD
from mitm_balancer.core.health import PROOF, TOGETHER, Health
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.core.vitals import Vitals

CUT = Outcome(Verdict.INTERRUPTED_EXECUTION, "cut", Scope.ACCOUNT)


def ejected(health: Health, now: float) -> float:
    """Five faults, then how long it is out."""
    for _ in range(5):
        health.record("a", "m", TRANSIENT, now)
    block = health.blocked("a", "m", now)
    assert block is not None
    assert block.until is not None
    return block.until - now


def recovered(health: Health, now: float) -> None:
    assert health.chosen("a")
    health.record("a", "m", OK, now)
    assert health.breaker_state("a", now) == "closed"


def test_ejections_grow_also_when_it_was_well_in_between() -> None:
    """Twice as long each time, up to five minutes; every five minutes of health forgive one."""
    health, now, seen = Health(NoJitter()), START, []
    for _ in range(6):
        seen.append(ejected(health, now))
        now += seen[-1]
        recovered(health, now)
        now += 10
    assert seen == [30, 60, 120, 240, 300, 300]
    now += 4 * HEALTHY
    assert ejected(health, now) == 120, "six, less four, and this one"
    now += 120
    recovered(health, now)
    now += 100 * HEALTHY
    assert ejected(health, now) == 30


def test_ejections_are_spread() -> None:
    """Breakers that opened together do not probe together, and none is early."""
    seen = {ejected(Health(random.Random(seed)), START) for seed in range(20)}
    assert len(seen) == 20
    assert min(seen) >= 30
    assert max(seen) <= 30 * (1 + SPREAD)


def test_a_fault_a_day_is_no_row() -> None:
    """What was before a long silence is forgotten."""
    health = Health(NoJitter())
    for n in range(20):
        health.record("a", "m", TRANSIENT, START + n * (FORGET + 1))
    assert health.breaker_state("a", START + 20 * FORGET) == "closed"


def test_a_dead_network_ejects_nobody() -> None:
    """However often, whichever provider: nobody is reached, so it is ours. Afterwards all serve at once."""
    health = Health(NoJitter())
    for n in range(200):
        for name in ("p/a", "p/b", "q/c"):
            health.record(name, "m", REFUSED, START + n)
    now = START + 201
    health.record("q/c", "m", OK, now)
    for name in ("p/a", "p/b", "q/c"):
        assert health.breaker_state(name, now) == "closed"


@pytest.mark.parametrize("answer", [OK, limited(60), FAULT, CAPACITY, TRANSIENT], ids=lambda o: o.verdict.value)
def test_one_that_is_not_reached_while_others_are_is_at_fault(answer: Outcome) -> None:
    """Any answer of another one proves the network, and one fault each."""
    health, now = Health(NoJitter()), START
    for n in range(5):
        assert health.breaker_state("a", now) == "closed", n
        health.record("a", "m", REFUSED, now)
        health.record("b", "m", answer, now + PROOF)
        now += PROOF + 1
    assert health.breaker_state("a", now) == "open"


def test_proof_that_comes_late_is_none() -> None:
    """Nor is one's own answer."""
    health, now = Health(NoJitter()), START
    for _ in range(20):
        health.record("a", "m", REFUSED, now)
        health.record("b", "m", OK, now + PROOF + 1)
        now += PROOF + 2
    assert health.breaker_state("a", now) == "closed"
    for _ in range(20):
        health.record("a", "m", REFUSED, now)
        health.record("a", "m", OK, now)
        health.record("b", "m", OK, now)
    assert health.breaker_state("a", now) == "closed"


def test_a_probe_that_reaches_nobody_is_made_again_no_later() -> None:
    """It is no worse than before, and its slot is free."""
    health = Health(NoJitter())
    now = START + ejected(health, START)
    for _ in range(4):
        assert health.chosen("a")
        health.record("a", "m", REFUSED, now)
        block = health.blocked("a", "m", now)
        assert block is not None
        assert block.until == now + 30
        now += 30
    recovered(health, now)


@pytest.mark.parametrize("broke", [AMBIGUOUS, CUT], ids=lambda o: o.verdict.value)
def test_connections_that_break_together_are_one_fault(broke: Outcome) -> None:
    """Twenty streams over one dead path. A bad probe counts whenever it ends."""
    health = Health(NoJitter())
    for n in range(20):
        health.record("a", "m", broke, START + n / 100)
    assert health.breaker_state("a", START + 1) == "closed"
    for n in range(1, 5):
        health.record("a", "m", broke, START + n * TOGETHER)
    now = START + 4 * TOGETHER
    assert health.breaker_state("a", now) == "open"
    assert health.chosen("a")
    health.record("a", "m", broke, now)
    block = health.blocked("a", "m", now)
    assert block is not None
    assert block.until == now + 60


def test_a_dead_network_costs_no_account_its_good_name() -> None:
    """Nor does it hold anybody up when it is back."""
    vitals = Vitals()
    for _ in range(10):
        vitals.ended("a", "m", REFUSED, 0.0, START)
    assert (vitals.health("a", START), vitals.failure("a", START)) == (1.0, 0.0)
    world = World("ab")
    for _ in range(30):
        world.run({"a": [REFUSED], "b": [REFUSED]})
        world.now += 1
    assert world.run({"a": [OK]}).tried == "a"
