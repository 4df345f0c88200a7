"""The priority module: eligibility, order, stickiness."""

from __future__ import annotations

import pytest
from dispatch_world import START, TRANSIENT, NoJitter, limited

from mitm_balancer.core.health import Health
from mitm_balancer.core.priority import Priority, TargetInfo, allows


def pool(*names: str) -> Priority:
    return Priority([TargetInfo(name, "p") for name in names])


def healthy() -> Health:
    return Health(NoJitter())


@pytest.mark.parametrize(
    ("globs", "model", "allowed"),
    [
        (("*",), "claude-opus", True),
        (("*",), "", True),
        ((), "claude-opus", False),
        ((), "", True),
        (("claude-*",), "claude-opus", True),
        (("claude-*",), "gpt-5", False),
        (("gpt-*", "claude-*"), "claude-opus", True),
        (("claude-opus",), "claude-opus-4", False),
        (("claude-?",), "claude-4", True),
        (("gpt-[45]",), "gpt-5", True),
        (("gpt-[45]",), "gpt-3", False),
        (("claude-*",), "", True),
        (("a.b",), "aXb", False),
        (("*",), "two\nlines", True),
        (("*-x", "y"), "two\nlines-x", True),
    ],
)
def test_model_globs(globs: tuple[str, ...], model: str, allowed: bool) -> None:
    """An unknown model passes: refusing it would be a guess."""
    assert allows(globs, model) is allowed


def test_operator_order() -> None:
    """As declared, skipping those that cannot serve, and telling why."""
    targets = [
        TargetInfo("off", "p", enabled=False),
        TargetInfo("broke", "p", usable="no credential"),
        TargetInfo("gpt", "p", models=("gpt-*",)),
        TargetInfo("cooling", "p"),
        TargetInfo("good", "p"),
        TargetInfo("later", "p"),
    ]
    health = healthy()
    health.record("cooling", "claude", limited(50), START)
    selection = Priority(targets).select("claude", health, START)
    assert selection.chosen == targets[4]
    assert [(r.name, r.block.reason, r.block.until) for r in selection.rejected] == [
        ("off", "disabled", None),
        ("broke", "no credential", None),
        ("gpt", "does not serve claude", None),
        ("cooling", "rate_limit_error", START + 50),
    ]


def test_without_leaves_out() -> None:
    """Those that this request has tried are neither chosen nor told as rejected."""
    selection = pool("a", "b").select("m", healthy(), START, without={"a", "b"})
    assert selection.chosen is None
    assert selection.rejected == ()


def test_it_stays_where_it_served() -> None:
    """Also when an earlier account is free."""
    priority = pool("a", "b", "c")
    priority.served("b")
    selection = priority.select("m", healthy(), START)
    assert selection.chosen is not None
    assert (selection.chosen.name, selection.because) == ("b", "stays")


def test_it_leaves_an_account_that_cannot_serve_in_operator_order() -> None:
    """From the top again, not from the next one on."""
    priority, health = pool("a", "b", "c"), healthy()
    priority.served("b")
    health.record("b", "m", limited(50), START)
    chosen = priority.select("m", health, START).chosen
    assert chosen is not None
    assert chosen.name == "a"


def test_serving_by_an_unknown_account_is_ignored() -> None:
    """It left with a reload while it served."""
    priority = pool("a")
    priority.served("gone")
    assert priority.active is None


def test_adopt_keeps_the_account_over_a_reload() -> None:
    """If it is still there."""
    old = pool("a", "b")
    old.served("b")
    for names, active in ((("a", "b", "c"), "b"), (("a", "c"), None)):
        new = pool(*names)
        new.adopt(old)
        assert new.active == active
    new = pool("a")
    new.adopt(None)
    assert new.active is None


def test_the_last_one_with_an_open_breaker_is_chosen_in_order() -> None:
    """The first of them, and it is not told as rejected."""
    priority, health = pool("x", "a", "b"), healthy()
    health.record("x", "m", limited(50), START)
    for name in ("a", "b"):
        for _ in range(5):
            health.record(name, "m", TRANSIENT, START)
    selection = priority.select("m", health, START)
    assert selection.chosen is not None
    assert (selection.chosen.name, selection.because) == ("a", "last one left")
    assert [r.name for r in selection.rejected] == ["x", "b"]
