"""ChatGPT's `wham/usage`: the seed's fixture and rules, and what the seed ignored."""

from typing import Any

import pytest
from poll_answers import KEY, NOW, account, header, paths, polled, told

from mitm_balancer.providers.codex import PROVIDER
from mitm_balancer.providers.limits import Window, windows
from mitm_balancer.usage.polls.codex import plan_name
from mitm_balancer.usage.polls.model import Amount
from mitm_balancer.usage.polls.reading import reset

FIXTURE: dict[str, Any] = {
    "plan_type": "plus",
    "rate_limit": {
        "allowed": True,
        "limit_reached": False,
        "primary_window": {"used_percent": 24, "limit_window_seconds": 18000, "reset_at": NOW + 3600},
        "secondary_window": {"used_percent": 100, "limit_window_seconds": 604800, "reset_after_seconds": 7200},
    },
    "credits": {"has_credits": True, "unlimited": False, "balance": "12.5"},
}


def test_every_window_and_the_credits_are_read() -> None:
    finding, questions = polled(account("codex", identity={"account_id": "acc-1"}), told(FIXTURE))
    assert paths(questions) == ["chatgpt.com/backend-api/wham/usage"]
    assert (header(questions[0], "Authorization"), header(questions[0], "ChatGPT-Account-Id")) == (
        f"Bearer {KEY}",
        "acc-1",
    )
    assert (finding.confidence, finding.plan, finding.message) == (
        "exact",
        "ChatGPT Plus",
        "OpenAI ChatGPT usage fetched.",
    )
    assert finding.windows == (
        Window("primary", 24.0, wait=3600.0, minutes=300),
        Window("secondary", 100.0, wait=7200.0, minutes=10080),
    )
    assert finding.amounts == (Amount("credits", remaining=12.5),)


def test_metered_models_have_the_names_of_their_headers() -> None:
    """So a poll and an answer tell of the same window."""
    extra = {
        "limit_name": "gpt-5.2-codex-sonic",
        "metered_feature": "codex_bengalfox",
        "rate_limit": {"primary_window": {"used_percent": 7, "limit_window_seconds": 18000}},
    }
    review = {"primary_window": {"used_percent": 3, "limit_window_seconds": 604800}}
    data = {**FIXTURE, "additional_rate_limits": [extra, "nonsense"], "code_review_rate_limit": review}
    finding, _ = polled(account("codex"), told(data))
    assert [window.name for window in finding.windows] == [
        "primary",
        "secondary",
        "bengalfox-primary",
        "code-review-primary",
    ]
    (header_window,) = windows(PROVIDER, {"x-codex-bengalfox-primary-used-percent": "7"}, server_now=NOW)
    assert header_window.name == "bengalfox-primary"


def test_a_plan_without_limits_is_still_told() -> None:
    data = {"plan_type": "enterprise", "rate_limit": None, "credits": {"unlimited": True}}
    finding, _ = polled(account("codex"), told(data))
    assert (finding.plan, finding.windows) == ("ChatGPT Enterprise", ())
    assert finding.amounts == (Amount("credits", unlimited=True),)


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        ("plus", "ChatGPT Plus"),
        ("pro", "ChatGPT Pro"),
        ("team", "ChatGPT Team"),
        ("enterprise", "ChatGPT Enterprise"),
        ("prolite", "prolite"),
        (None, ""),
    ],
)
def test_plan_names(plan: object, name: str) -> None:
    assert plan_name(plan) == name


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1_786_501_305, 1_786_501_305.0),
        (0, 0.0),
        (1e12, 1e12),
        (1_786_501_305_000, 1_786_501_305.0),
        (-1, None),
        ("1786501305", 1_786_501_305.0),
        ("2026-08-12T03:41:45Z", 1_786_506_105.0),
        ("2026-08-12", 1_786_492_800.0),
        ("soon", None),
        (None, None),
        (True, None),
    ],
)
def test_resets_are_seconds_or_milliseconds(value: object, seconds: float | None) -> None:
    """Behaviour spec 4.1: above 1e12 it is milliseconds; strings as other providers write them."""
    assert reset(value) == seconds


@pytest.mark.parametrize(("status", "settled"), [(401, True), (403, True), (429, False), (500, False)])
def test_a_refusal_is_unavailable(status: int, settled: bool) -> None:
    finding, _ = polled(account("codex"), told({"detail": "no"}, status, retry_after="77"))
    assert finding.message == f"OpenAI ChatGPT usage request failed with HTTP {status}."
    assert (finding.confidence, finding.settled, finding.wait) == ("unavailable", settled, 77.0)


def test_a_wellknown_credential_is_not_sent() -> None:
    finding, questions = polled(account("codex", kind="wellknown"))
    assert (finding.confidence, finding.message) == ("unavailable", "OpenAI ChatGPT usage requires OAuth auth.")
    assert not questions


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"rate_limit": [1], "credits": "x", "plan_type": {}}'])
def test_what_is_no_usage_harms_nothing(body: bytes) -> None:
    finding, _ = polled(account("codex"), told(body))
    assert finding.windows == ()
