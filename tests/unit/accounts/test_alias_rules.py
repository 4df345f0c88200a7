"""Aliases: the vectors of behaviour spec 2.1, verified on the seed itself."""

import pytest

from mitm_balancer.accounts.alias import normalized, random_alias
from mitm_balancer.accounts.model import AccountError


@pytest.mark.parametrize(
    ("given", "alias"),
    [
        (" Work Account!! ", "work-account"),
        ("Team.Main_01", "team.main_01"),
        ("--a--", "a"),
        ("..a..", "..a.."),
        ("a  b//c", "a-b-c"),
        ("Über Acct", "ber-acct"),
        ("a--b", "a--b"),
        ("me@x.com", "me-x.com"),
        ("_x_", "_x_"),
    ],
)
def test_the_vectors(given: str, alias: str) -> None:
    assert normalized(given) == alias
    assert normalized(alias) == alias


@pytest.mark.parametrize("given", ["!!!", "", "   ", "--", "é"])
def test_nothing_left_is_an_error(given: str) -> None:
    with pytest.raises(AccountError, match="Invalid alias"):
        normalized(given)


def test_an_alias_is_as_long_as_the_configuration_allows() -> None:
    assert normalized("x" * 64) == "x" * 64
    with pytest.raises(AccountError, match="65 characters"):
        normalized("x" * 65)


def test_a_random_alias_is_taken_by_nobody() -> None:
    class Most:
        """All but one of 36^5 are taken; that one comes up at the 90th try or so."""

        def __init__(self, free_after: int) -> None:
            self.tries, self.free_after = 0, free_after

        def __contains__(self, alias: object) -> bool:
            self.tries += 1
            return self.tries <= self.free_after

    assert len(random_alias(Most(99))) == 5
    with pytest.raises(AccountError, match="Could not generate a unique alias"):
        random_alias(Most(100))
