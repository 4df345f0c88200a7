"""Sessions: bound, moved, remembered, forgotten."""

from __future__ import annotations

import pytest
from dispatch_world import CAPACITY, FAULT, OK, START, TRANSIENT, limited, quota
from seated_world import SeatedWorld

from mitm_balancer.core.session import CAP, SHUNNED, TTL, Bindings, SessionKeys
from mitm_balancer.core.verdict import Outcome

KEYS = SessionKeys("child", ("parent", "grandparent"))


def test_own_binding_before_kin() -> None:
    """A child begins where its parent is, and then has a binding of its own."""
    bindings = Bindings()
    assert bindings.find(KEYS, START) is None
    bindings.bind("grandparent", "a", START)
    assert bindings.find(KEYS, START) == "a"
    bindings.bind("parent", "b", START)
    assert bindings.find(KEYS, START) == "b"
    bindings.bind("child", "c", START)
    assert bindings.find(KEYS, START) == "c"


def test_a_binding_ends_a_day_after_its_last_use() -> None:
    """Not before."""
    bindings = Bindings()
    bindings.bind("child", "a", START)
    assert bindings.find(KEYS, START + TTL - 1) == "a"
    assert bindings.find(KEYS, START + TTL) is None


def test_the_least_recently_used_goes_first() -> None:
    """And no more than the cap is kept."""
    bindings = Bindings(cap=2)
    for key in ("x", "y", "x", "z"):
        bindings.bind(key, "a", START)
    found = [key for key in "xyz" if bindings.find(SessionKeys(key), START)]
    assert (found, len(bindings)) == (["x", "z"], 2)
    assert CAP > 2


def test_restore_takes_what_is_young_and_changes_nothing_that_is_known() -> None:
    """A row from a clock ahead of ours does not live longer than the others."""
    bindings = Bindings()
    bindings.bind("known", "a", START)
    bindings.restore([("known", "b", START - 1), ("old", "b", START - TTL), ("ahead", "b", START + 1e9)], START)
    assert bindings.find(SessionKeys("known"), START) == "a"
    assert bindings.find(SessionKeys("old"), START) is None
    assert bindings.find(SessionKeys("ahead"), START) == "b"
    assert bindings.find(SessionKeys("ahead"), START + TTL) is None


def test_writes_are_few() -> None:
    """One for a new binding, one for each move, one in ten minutes of use."""
    world = SeatedWorld("ab")
    for _ in range(5):
        world.run("s", {"a": [OK]})
    assert world.kept == [("s", "a")]
    world.now += 600
    world.run("s", {"a": [OK]})
    assert world.kept == [("s", "a")] * 2
    world.run("s", {"a": [limited(1000)], "b": [OK]})
    assert world.kept[2:] == [("s", "b")]


@pytest.mark.parametrize("failure", [limited(30), quota(30), TRANSIENT], ids=lambda o: o.verdict.value)
def test_it_moves_when_its_account_fails_it_and_then_stays(failure: Outcome) -> None:
    """Also when the first account is back: the prompt cache is where it went."""
    world = SeatedWorld("ab")
    world.run("s", {"a": [OK]})
    assert world.run("s", {"a": [failure], "b": [OK]}).tried == "ab"
    world.now += 100
    assert world.run("s", {"a": [OK], "b": [OK]}).tried == "b"


def test_it_moves_when_its_account_cools_by_another_requests_doing() -> None:
    """Without an attempt there."""
    world = SeatedWorld("ab")
    world.run("s", {"a": [OK]})
    world.run("other", {"a": [limited(30)], "b": [OK]})
    assert world.run("s", {"b": [OK]}).tried == "b"
    world.now += 100
    assert world.run("s", {"a": [OK], "b": [OK]}).tried == "b"


@pytest.mark.parametrize("outcome", [FAULT, CAPACITY], ids=["request", "capacity"])
def test_what_is_not_the_accounts_fault_moves_nobody(outcome: Outcome) -> None:
    """A 400 is returned, a provider without capacity has none elsewhere."""
    world = SeatedWorld("a")
    world.run("s", {"a": [OK]})
    world.run("s", {"a": [outcome]})
    assert world.bindings.find(SessionKeys("s"), world.now) == "a"


def test_for_want_of_a_slot_it_goes_elsewhere_once() -> None:
    """Its binding stays: an account at its limit is no reason to leave a prompt cache for good."""
    world = SeatedWorld("ab", each=1)
    world.run("s", {"a": [OK]})
    running = world.start("s")
    assert running.name == "a"
    assert world.run("s", {"b": [OK]}).tried == "b"
    running.dispatch.close()
    assert world.run("s", {"a": [OK]}).tried == "a"


def test_requests_that_start_together_go_together() -> None:
    """The second one does not wait for the first one's answer to know where to go."""
    world = SeatedWorld("abc", strategy="round-robin")
    assert [world.start("s").name, world.start("s").name, world.start("t").name] == ["a", "a", "b"]


def test_new_sessions_are_spread_only_by_a_strategy_that_spreads() -> None:
    """Each stays where it began."""
    for strategy, expected in (
        ("priority", "aaaa"),
        ("headroom", "aaaa"),
        ("round-robin", "abca"),
        ("weighted", "abca"),
    ):
        world = SeatedWorld("abc", strategy=strategy)
        sessions = "stuv"
        assert "".join(world.run(s, {name: [OK] for name in "abc"}).tried for s in sessions) == expected
        assert "".join(world.run(s, {name: [OK] for name in "abc"}).tried for s in sessions) == expected


def test_old_sessions_do_not_pull_drain_back() -> None:
    """New ones go on with the account in line, though an old one is served by an earlier account."""
    world = SeatedWorld("ab", strategy="drain")
    world.run("old", {"a": [OK]})
    world.health.record("a", "other", limited(30), world.now)
    world.run("new", {"b": [OK]})
    world.now += 100
    assert world.run("old", {"a": [OK]}).tried == "a"
    assert world.run("newer", {"b": [OK]}).tried == "b"


def test_a_binding_to_an_account_that_is_gone_is_none() -> None:
    """A reload took it away."""
    world = SeatedWorld("ab")
    world.bindings.bind("s", "gone", world.now)
    assert world.run("s", {"a": [OK]}).tried == "a"
    assert world.bindings.find(SessionKeys("s"), world.now) == "a"


def test_a_session_that_was_cut_short_goes_elsewhere_once_and_stays() -> None:
    """Also from where its turn began; its kin and other sessions are not concerned."""
    world = SeatedWorld("abc")
    for session in ("s", "t"):
        world.run(session, {"a": [OK]})
    world.bindings.shun("s", "a", world.now)
    assert world.start("t").name == "a"
    dispatch = world.dispatch("s")
    dispatch.prefer = "a"
    assert world.drive(dispatch, {"b": [OK]}).tried == "b"
    world.now += SHUNNED
    assert world.run("s", {"b": [OK]}).tried == "b"


def test_the_last_one_left_is_not_shunned() -> None:
    """Nor anybody for longer than a client needs to come back."""
    world = SeatedWorld("ab")
    world.run("s", {"a": [OK]})
    world.bindings.shun("s", "a", world.now)
    world.health.record("b", "m", limited(1000), world.now)
    assert world.run("s", {"a": [OK]}).tried == "a"
    world = SeatedWorld("ab")
    world.run("s", {"a": [OK]})
    world.bindings.shun("s", "a", world.now)
    world.now += SHUNNED
    assert world.run("s", {"a": [OK]}).tried == "a"
