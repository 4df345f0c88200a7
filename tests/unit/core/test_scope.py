"""Scope learning (P3)."""

from __future__ import annotations

from mitm_balancer.core.scope import ScopeLearner

START = 1000.0


def test_one_account_is_not_the_provider() -> None:
    """However often it fails."""
    scope = ScopeLearner()
    for i in range(20):
        scope.failed("p", "a", START + i / 10)
    assert not scope.provider_wide("p", START + 2)


def test_two_accounts_within_ten_seconds_are() -> None:
    """The tenth second included, the eleventh not."""
    scope = ScopeLearner()
    scope.failed("p", "a", START)
    scope.failed("p", "b", START + 4)
    assert scope.provider_wide("p", START + 4)
    assert scope.provider_wide("p", START + 10)
    assert not scope.provider_wide("p", START + 10.001)


def test_the_latest_failure_of_an_account_counts() -> None:
    """The window moves with it."""
    scope = ScopeLearner()
    for at in (0, 8, 16):
        scope.failed("p", "a", START + at)
        scope.failed("p", "b", START + at)
    assert scope.provider_wide("p", START + 25)


def test_providers_do_not_mix() -> None:
    """An outage of one says nothing about another."""
    scope = ScopeLearner()
    scope.failed("p", "a", START)
    scope.failed("q", "b", START)
    assert not scope.provider_wide("p", START)
    assert not scope.provider_wide("q", START)
    scope.failed("p", "b", START)
    scope.succeeded("q")
    assert scope.provider_wide("p", START)


def test_a_success_ends_it() -> None:
    """And a single new failure does not bring it back."""
    scope = ScopeLearner()
    scope.failed("p", "a", START)
    scope.failed("p", "b", START)
    scope.succeeded("p")
    scope.failed("p", "a", START)
    assert not scope.provider_wide("p", START)
    scope.succeeded("unknown")
