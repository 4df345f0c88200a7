"""What each strategy promises, seen through the priority module."""

from __future__ import annotations

from collections import Counter

import pytest
from dispatch_world import START, TRANSIENT, NoJitter, limited
from test_evidence import Window

from mitm_balancer.core.health import Block, Health
from mitm_balancer.core.operator import States
from mitm_balancer.core.priority import Circumstances, Priority
from mitm_balancer.core.strategies import BY_NAME
from mitm_balancer.core.target import TargetInfo
from mitm_balancer.core.verdict import SUCCESS


class Pool:
    """A pool under test, with the driver's part of the protocol."""

    def __init__(self, strategy: str, *targets: TargetInfo | str) -> None:
        infos = [t if isinstance(t, TargetInfo) else TargetInfo(t, "p") for t in targets]
        self.around = Circumstances()
        self.priority = Priority(infos, strategy, self.around)
        self.health = Health(NoJitter())
        self.now = START

    def one(self, bound: str | None = None, model: str = "m") -> str:
        """A request that is served; who did."""
        chosen = self.priority.select(model, self.health, self.now, bound=bound).chosen
        assert chosen is not None
        self.priority.taken(chosen.name)
        self.priority.served(chosen.name)
        return chosen.name

    def many(self, count: int) -> str:
        return "".join(self.one() for _ in range(count))

    def cool(self, name: str, seconds: float) -> None:
        self.health.record(name, "m", limited(seconds), self.now)

    def quota(self, name: str, used: float, wait: float = 3600, window: str = "5h") -> None:
        self.around.known.evidence.stated(name, [Window(window, used, wait)], self.now)


def test_the_contract_names_them_all() -> None:
    """The configuration's list and the code's are one."""
    from mitm_balancer.config.model import STRATEGIES

    assert set(BY_NAME) == set(STRATEGIES)
    assert all(made.name == name for name, made in BY_NAME.items())  # type: ignore[attr-defined]


def test_drain_goes_on_and_never_hops_back_before_the_end() -> None:
    """a is spent, b is used; a is back, b stays, and when b is spent c is next, then a."""
    pool = Pool("drain", "a", "b", "c")
    seen = pool.one()
    for name in "abc":
        pool.cool(name, 10)
        seen += pool.one()
        pool.now += 20
        seen += pool.one()
    assert seen == "abbccaa"


def test_priority_hops_back_to_the_first_when_the_one_in_use_is_out() -> None:
    """The difference to drain."""
    pool = Pool("priority", "a", "b", "c")
    seen = pool.one()
    pool.cool("a", 10)
    seen += pool.one()
    pool.now += 20
    seen += pool.one()
    pool.cool("b", 500)
    assert seen + pool.one() == "abba"


def test_soonest_reset_spends_what_would_be_lost_first() -> None:
    """The weekly window decides before the 5-hour one; unknown comes last."""
    pool = Pool("soonest-reset", "unknown", "later", "sooner")
    pool.quota("later", 10, 100, "5h")
    pool.quota("later", 10, 500_000, "7d")
    pool.quota("sooner", 10, 9000, "5h")
    pool.quota("sooner", 10, 400_000, "7d")
    assert pool.one() == "sooner"


def test_soonest_reset_does_not_hop_for_minutes() -> None:
    """Stated resets wobble."""
    pool = Pool("soonest-reset", "a", "b")
    pool.quota("a", 10, 5000)
    pool.quota("b", 10, 6000)
    assert pool.one() == "a"
    pool.quota("b", 10, 4500)
    assert pool.one() == "a"
    pool.quota("b", 10, 4300)
    assert pool.one() == "b"


def test_headroom_takes_most_and_leaves_for_fifteen_points_only() -> None:
    """Unknown last."""
    pool = Pool("headroom", "unknown", "a", "b")
    pool.quota("a", 40)
    pool.quota("b", 50)
    assert pool.one() == "a"
    pool.quota("a", 64)
    assert pool.one() == "a"
    pool.quota("a", 65)
    assert pool.one() == "b"


def test_headroom_sees_a_window_reset_without_being_told() -> None:
    """Time alone changes the order."""
    pool = Pool("headroom", "a", "b")
    pool.quota("a", 90, 60)
    pool.quota("b", 30)
    assert pool.one() == "b"
    pool.now += 60
    assert pool.one() == "a"


def test_round_robin_takes_turns() -> None:
    """One that was out for long is next once, not as often as it was missed."""
    pool = Pool("round-robin", "a", "b", "c")
    assert pool.many(6) == "abcabc"
    pool.cool("b", 30)
    assert pool.many(4) == "acac"
    pool.now += 30
    assert pool.many(6) == "bacbac"


def test_weights_are_shares() -> None:
    """Exact over a round, and spread out within it."""
    pool = Pool("weighted", *(TargetInfo(name, "p", weight=weight) for name, weight in (("a", 3), ("b", 1), ("c", 2))))
    seen = pool.many(600)
    assert Counter(seen) == {"a": 300, "b": 100, "c": 200}
    assert "aaaa" not in seen


def test_a_weighted_account_that_was_out_does_not_catch_up_on_all() -> None:
    """A fresh account is not stampeded."""
    pool = Pool("weighted", "a", "b")
    pool.cool("a", 30)
    assert pool.many(100) == "b" * 100
    pool.now += 30
    seen = pool.many(100)
    assert not seen.startswith("aaaaa")
    assert abs(seen.count("a") - 50) <= 2


def test_reserves_come_after_those_with_a_lower_priority() -> None:
    """Also when a strategy spreads."""
    for strategy in ("round-robin", "weighted", "least-loaded", "headroom", "soonest-reset"):
        pool = Pool(strategy, "a", "b", TargetInfo("r", "p", priority=1))
        assert "r" not in pool.many(10), strategy
        pool.cool("a", 30)
        pool.cool("b", 30)
        assert pool.many(3) == "rrr"
        pool.now += 30
        assert "r" not in pool.many(3), strategy


def test_score_leaves_the_slow_and_the_failing() -> None:
    """o-switcher's formula: health - latency - failures + priority."""
    pool = Pool("score", "a", "b", TargetInfo("c", "p", priority=5))
    vitals = pool.around.known.vitals
    assert pool.one() == "a"
    vitals.ended("a", "m", SUCCESS, 6.0, pool.now)
    assert pool.one() == "b", "6 s of 30 cost 0.1"
    vitals.ended("b", "m", TRANSIENT, 0.0, pool.now)
    assert pool.one() == "a"
    vitals.ended("a", "m", TRANSIENT, 0.0, pool.now)
    assert pool.one() == "c", "a worse rank costs 0.3"
    pool.now += 36_000
    assert pool.one() == "b", "the past has faded, a is slow as ever"


@pytest.mark.parametrize("strategy", BY_NAME)
def test_a_session_stays_where_it_is(strategy: str) -> None:
    """Whatever the strategy would say, until the account cannot serve."""
    pool = Pool(strategy, "a", "b", "c")
    assert {pool.one("b") for _ in range(5)} == {"b"}
    pool.cool("b", 30)
    assert pool.one("b") != "b"
    pool.now += 30
    assert pool.one("b") == "b"


@pytest.mark.parametrize("strategy", BY_NAME)
def test_operator_states(strategy: str) -> None:
    """Nothing new goes there; a drained one keeps its sessions, the others lose them."""
    for word, keeps in (("paused", False), ("drained", True), ("disabled", False)):
        for name in ("a", "p"):
            pool = Pool(strategy, "a", TargetInfo("z", "q"))
            pool.one()
            pool.around.states.take({name: {word: True}})
            assert pool.one() == "z"
            assert pool.one("a") == ("a" if keeps else "z")
            pool.around.states.take({})
            assert pool.one("a") == "a"


def test_the_strongest_state_counts_and_a_false_flag_is_none() -> None:
    """Whichever way they are set."""
    states = States()
    both = {"drained": True, "disabled": True, "color": "blue"}
    states.take({"a": both, "b": {"paused": False}, "p": {"paused": "x"}})
    assert [states.of("a", "q"), states.of("b", "q"), states.of("b", "p"), states.of("a", "p")] == [
        "disabled", "", "paused", "disabled",
    ]  # fmt: skip


@pytest.mark.parametrize("strategy", ["round-robin", "weighted", "least-loaded"])
def test_turns_survive_a_reload(strategy: str) -> None:
    """Nobody is served twice because the configuration was read."""
    pool = Pool(strategy, "a", "b", "c")
    assert pool.many(2) == "ab"
    new = Pool(strategy, "c", "b", "a")
    new.priority.adopt(pool.priority)
    assert new.many(1) == "c"


def test_another_strategy_starts_afresh_but_keeps_the_account() -> None:
    """A switch of the strategy costs no prompt cache."""
    pool = Pool("round-robin", "a", "b", "c")
    pool.many(2)
    new = Pool("headroom", "a", "b", "c")
    new.priority.adopt(pool.priority)
    assert new.one() == "b"


def test_every_way_back_is_seen_at_once() -> None:
    """An operator's clear, a probe slot given back, a good probe: none of them waits for another change."""
    pool = Pool("priority", "a", "b")
    pool.cool("a", 1000)
    assert pool.one() == "b"
    pool.health.clear("a")
    pool.priority.active = None
    assert pool.one() == "a"
    for _ in range(5):
        pool.health.record("a", "m", TRANSIENT, pool.now)
    assert pool.one() == "b"
    pool.now += 30
    pool.priority.active = None
    assert pool.health.chosen("a")
    assert pool.one() == "b", "its probe is under way"
    pool.priority.active = None
    pool.health.cancelled("a")
    assert pool.one() == "a"
    pool.priority.active = None
    assert pool.health.chosen("a")
    pool.health.record("a", "m", SUCCESS, pool.now)
    assert pool.one() == "a"


class Counting(Priority):
    """How many targets were judged."""

    judged = 0

    def blocked(self, *args: object, **options: object) -> Block | None:
        self.judged += 1
        return super().blocked(*args, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", BY_NAME)
def test_a_decision_looks_at_what_has_changed_and_not_at_every_account(strategy: str) -> None:
    """Two thousand accounts, nearly all of them cooling: a handful of judgements a request."""
    pool = Pool(strategy, *(f"a{n}" for n in range(2000)))
    pool.priority = Counting(pool.priority.targets, strategy, pool.around)
    for n in range(1990):
        pool.cool(f"a{n}", 500 + n)
    pool.one()
    pool.priority.judged = 0
    for _ in range(100):
        name = pool.one()
        pool.health.record(name, "m", SUCCESS, pool.now)
        pool.around.known.vitals.ended(name, "m", SUCCESS, 1.0, pool.now)
        pool.now += 0.1
    assert pool.priority.judged <= 300
    selection = pool.priority.select("m", pool.health, pool.now)
    assert len(selection.rejected) <= 16, "and the story stays short"
