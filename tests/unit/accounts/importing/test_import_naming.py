"""The alias that an imported account gets."""

from __future__ import annotations

import pytest

from mitm_balancer.accounts.importing.naming import propose

ANN = {"email": "Ann.Lee@example.com", "plan": "max"}


@pytest.mark.parametrize(
    ("identity", "own", "taken", "alias"),
    [
        (ANN, "", (), "ann.lee"),
        (ANN, "", ("ann.lee",), "ann.lee-example.com"),
        (ANN, "", ("ann.lee", "ann.lee-example.com"), "ann.lee-max"),
        (ANN, "", ("ann.lee", "ann.lee-example.com", "ann.lee-max"), "ann.lee-2"),
        (ANN, "Work Account!!", (), "work-account"),
        ({"plan": "plus"}, "", (), "plus"),
        ({"plan": "plus"}, "", ("plus",), "claude"),
        ({}, "", ("claude", "claude-2"), "claude-3"),
        ({"email": "漢字@example.com"}, "", (), "example.com"),
    ],
)
def test_it_is_one_that_the_owner_would_recognise(
    identity: dict[str, str], own: str, taken: tuple[str, ...], alias: str
) -> None:
    assert propose(identity, "claude", taken, own) == alias
