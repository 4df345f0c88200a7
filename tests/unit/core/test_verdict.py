"""What an outcome says of itself."""

from __future__ import annotations

import pytest

from mitm_balancer.core.verdict import SUCCESS, Outcome, Sent, Verdict

DEFINITE = {
    Verdict.RATE_LIMITED,
    Verdict.QUOTA_EXHAUSTED,
    Verdict.AUTH_FAILURE,
    Verdict.PERMISSION_FAILURE,
    Verdict.REGION_RESTRICTION,
    Verdict.MODEL_UNAVAILABLE,
}


@pytest.mark.parametrize("verdict", Verdict)
def test_definite_refusals(verdict: Verdict) -> None:
    """The provider said no before it worked; never a fault of server, transport or request, never capacity."""
    assert Outcome(verdict).definite_refusal is (verdict in DEFINITE)
    assert not Outcome(verdict, capacity=True).definite_refusal


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("sent", Sent)
def test_ambiguous_is_a_whole_request_without_an_answer(verdict: Verdict, sent: Sent) -> None:
    """P5: an answer of any kind is no ambiguity."""
    expected = verdict is Verdict.TRANSPORT_FAILURE and sent is Sent.ALL
    assert Outcome(verdict, sent=sent).ambiguous is expected


def test_the_unsafe_reading_is_the_default() -> None:
    """Who forgets to say how much was sent gets the careful treatment."""
    assert Outcome(Verdict.TRANSPORT_FAILURE).ambiguous
    assert not Outcome(Verdict.TRANSPORT_FAILURE).redispatch


@pytest.mark.parametrize("verdict", Verdict)
def test_only_success_is_ok(verdict: Verdict) -> None:
    """One member."""
    assert Outcome(verdict).ok is (verdict is Verdict.SUCCESS)
    assert SUCCESS.ok
