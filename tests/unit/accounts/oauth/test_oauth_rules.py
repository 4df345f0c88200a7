"""When a login is renewed, and whether its token may be used: the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refresh_world import service

from mitm_balancer.accounts.oauth.rules import AHEAD, LOST, SKEW, May, Use, ahead, backoff, due, expired, may_use

DAY = 86400.0


@pytest.mark.parametrize(
    ("life", "share", "seconds"),
    [
        (8 * 3600, 0.0, 2880),  # Claude: 10 to 20 % of eight hours
        (8 * 3600, 1.0, 5760),
        (3599, 0.0, 359.9),  # Google
        (1500, 1.0, 300),  # Copilot: five minutes at the least
        (300, 0.5, 150),  # never before half of its life
        (10 * DAY, 0.5, 1.5 * DAY),  # Codex
        (None, 0.5, AHEAD),
        (-5.0, 0.5, AHEAD),
    ],
)
def test_how_long_before_its_end(life: float | None, share: float, seconds: float) -> None:
    assert ahead(life, share) == pytest.approx(seconds)


@given(st.floats(1, 400 * DAY), st.floats(0, 1))
def test_a_fresh_token_is_never_due_and_an_ended_one_always(life: float, share: float) -> None:
    assert not due(1e9 + life, life, share, 1e9)
    assert due(1e9 + life, life, share, 1e9 + life)


def test_a_token_without_an_end_is_neither_due_nor_ended() -> None:
    assert not due(None, None, 0.5, 1e12)
    assert not expired(None, 1e12)


def test_it_is_not_sent_in_its_last_seconds() -> None:
    assert not expired(1000.0, 1000.0 - SKEW - 0.1)
    assert expired(1000.0, 1000.0 - SKEW)


@pytest.mark.parametrize(
    ("failures", "wait", "seconds"),
    [(1, None, 5), (2, None, 10), (3, 0.0, 20), (8, None, 600), (500, None, 600), (1, 77.0, 77), (1, 1e9, 3600)],
)
def test_the_next_try(failures: int, wait: float | None, seconds: float) -> None:
    assert backoff(failures, wait) == seconds


@pytest.mark.parametrize(
    ("use", "rotates", "grace", "may"),
    [
        (None, True, 0.0, May.YES),
        (Use(100.0), True, 0.0, May.NO),
        (Use(160.0), True, 0.0, May.NO),  # the clock went back, or stood still
        (Use(200.0), True, 0.0, May.NO),
        (Use(100.0), False, 0.0, May.YES),
        (Use(100.0), True, 61.0, May.YES),
        (Use(100.0), True, 60.0, May.NO),
        (Use(200.0), True, 60.0, May.NO),
        (Use(100.0, tries=2), True, 61.0, May.NO),
        (Use(100.0, dead="invalid_grant"), True, 61.0, May.NO),
        (Use(100.0, dead="invalid_grant"), False, 0.0, May.NO),
    ],
)
def test_whether_a_token_may_be_used(use: Use | None, rotates: bool, grace: float, may: May) -> None:
    answer, why = may_use(service(rotates=rotates, grace=grace), use, 160.0)
    assert answer is may
    assert why == ("" if may is May.YES else use.dead or LOST if use else "")
