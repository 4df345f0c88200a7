"""Resets: every notation of wire-facts 16.1, as seconds from now."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core import resets

NOW = 1_790_000_000.0
"""2026-09-21T14:13:20Z"""

VALUES = [
    ("12", 12),
    ("0.5", 0.5),
    ("33011.38", 33011.38),
    ("-3", 0),
    ("1s", 1),
    ("6m0s", 360),
    ("120ms", 0.12),
    ("2m59.56s", 179.56),
    ("1h2m3s", 3723),
    ("51820.638305887s", 51820.638305887),
    ("143h4m52.730699158s", 515092.730699158),
    ("5 days", 432_000),
    ("15hr 51min", 57_060),
    ("1 hour, 5 minutes and 3 seconds", 3903),
    (str(int(NOW) + 60), 60),
    (str(int(NOW) - 60), 0),
    (str(int(NOW + 60) * 1000), 60),
    ("2026-09-21T14:14:20Z", 60),
    ("2026-09-21T14:14:20.500000+00:00", 60.5),
    ("2026-09-21T16:14:20+02:00", 60),
    ("2026-09-21 14:14:20 UTC", 60),
    ("Mon, 21 Sep 2026 14:14:20 GMT", 60),
    ("9999999", resets.MAX_WAIT),
    ("2999-01-01T00:00:00Z", resets.MAX_WAIT),
    ("", None),
    ("soon", None),
    ("nan", None),
    ("inf", None),
    ("5x", None),
    ("1h nonsense", None),
    ("2026-13-45T00:00:00Z", None),
]


@pytest.mark.parametrize(("value", "expected"), VALUES)
def test_wait(value: str, expected: float | None) -> None:
    found = resets.wait(value, server_now=NOW)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-6))


TEXTS = [
    ("Rate limit reached for gpt-5. Please try again in 1.898s. Visit", 1.898),
    ("Please try again in 20s", 20),
    ("Please try again in 898ms.", 0.898),
    ("Please try again in 7 seconds.", 7),
    ("Please try again in 6m0s.", 360),
    ("Please try again in 51 hours.", 183_600),
    ("Please try again in 1h2m3.5s. Need more?", 3723.5),
    ("Your quota will reset after 156h14m36s.", 562_476),
    ("Your quota will reset after 2s.", 2),
    ("Please retry in 36.5s.", 36.5),
    ("Please retry after 37 seconds.", 37),
    ("Retry in 5 days", 432_000),
    ("Usage limit reached. Retry in 15hr 51min.", 57_060),
    ("Limit resets in 3 days and 4 hours", 273_600 + 0),
    ("Your limit will reset at 2026-09-21 22:14:20", 60),
    ("resets at 2026-09-21T14:14:20Z", 60),
    ("try again in 3s ... or your limit resets in 2h", 7200),
    ("try again later", None),
    ("it is 20s", None),
    ("You may retry in a moment", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_from_text(text: str, expected: float | None) -> None:
    """Stamps without a zone are read eight hours east, as Z.ai writes them; those with one are not."""
    found = resets.from_text(text, server_now=NOW, offset_hours=8)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-6))


def test_retry_after_ms_comes_first() -> None:
    assert resets.retry_after({"retry-after": "9", "retry-after-ms": "1500.5"}, server_now=NOW) == 1.5005
    assert resets.retry_after({"retry-after": "9.5", "retry-after-ms": "x"}, server_now=NOW) == 9.5
    assert resets.retry_after({"retry-after": "Mon, 21 Sep 2026 14:14:20 GMT"}, server_now=NOW) == 60
    assert resets.retry_after({}, server_now=NOW) is None


def test_the_servers_clock_counts_unless_it_is_absurd() -> None:
    assert resets.server_clock("Mon, 21 Sep 2026 14:03:20 GMT", NOW) == NOW - 600
    assert resets.server_clock("Thu, 01 Jan 1970 00:00:00 GMT", NOW) == NOW
    assert resets.server_clock("rubbish", NOW) == NOW
    assert resets.server_clock(None, NOW) == NOW


@given(st.text(max_size=80) | st.from_regex(r"(try again in|reset at) [0-9smhd .:T-]{0,40}"))
def test_total(text: str) -> None:
    """Any text is a wait within the bounds, or none."""
    for found in (resets.wait(text, server_now=NOW), resets.from_text(text, server_now=NOW)):
        assert found is None or 0 <= found <= resets.MAX_WAIT


@given(st.integers(0, 700), st.integers(0, 59), st.integers(0, 59))
def test_go_durations_round_trip(hours: int, minutes: int, seconds: int) -> None:
    expected = hours * 3600 + minutes * 60 + seconds
    assert resets.span(f"{hours}h{minutes}m{seconds}s") == expected
    assert resets.from_text(f"Please try again in {hours}h{minutes}m{seconds}s.", server_now=NOW) == expected


def test_a_long_text_costs_no_backtracking() -> None:
    """Messages are at most 4000 characters, and a hostile one must not stall the proxy."""
    assert resets.from_text("try again in " + "1 " * 2000, server_now=NOW) is None
    assert resets.from_text("retry " * 600 + "9" * 400, server_now=NOW) is None
