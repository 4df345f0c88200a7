"""Anthropic's limits: one row per line of wire-facts 1.3."""

from __future__ import annotations

import pytest
from anthropic_shapes import IN_5H, IN_7D, RATE, error, unified
from provider_rows import (
    ACCOUNT,
    DATE,
    DENIED,
    LIMITED,
    NOW,
    ONE_MODEL,
    QUOTA,
    REQUEST,
    TRANSIENT,
    Row,
    check,
)

ROWS = [
    # Subscription windows
    Row(
        "5h rejected",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "status": "rejected",
                "reset": IN_5H,
                "representative-claim": "five_hour",
                "5h-status": "rejected",
                "5h-reset": IN_5H,
                "7d-status": "allowed",
                "7d-reset": IN_7D,
                "fallback-percentage": "0.5",
                "overage-status": "rejected",
                "overage-disabled-reason": "org_level_disabled",
            }
        ),
        wait=3600,
        scope=ACCOUNT,
        redispatch=True,
        reason="plan_window_rejected",
    ),
    Row(
        "7d rejected",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "5h-status": "allowed",
                "5h-reset": IN_5H,
                "7d-status": "rejected",
                "7d-reset": IN_7D,
            }
        )
        | {"x-should-retry": "true"},
        wait=400_000,
        scope=ACCOUNT,
    ),
    Row(
        "both rejected: the later reset",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "5h-status": "rejected",
                "5h-reset": IN_5H,
                "7d-status": "rejected",
                "7d-reset": IN_7D,
            }
        ),
        wait=400_000,
        scope=ACCOUNT,
    ),
    Row(
        "5h rejected although credits are out",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "5h-status": "rejected",
                "5h-reset": IN_5H,
                "overage-disabled-reason": "out_of_credits",
            }
        ),
        wait=3600,
        scope=ACCOUNT,
    ),
    Row(
        "7d_oi only is the model's",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "status": "rejected",
                "reset": IN_7D,
                "5h-status": "allowed",
                "7d-status": "allowed",
                "7d_oi-status": "rejected",
                "7d_oi-reset": IN_7D,
            }
        ),
        wait=400_000,
        scope=ONE_MODEL,
        reason="model_window_rejected",
    ),
    Row(
        "only the claim names the model's window",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "status": "rejected",
                "reset": IN_7D,
                "representative-claim": "seven_day_opus",
            }
        ),
        wait=400_000,
        scope=ONE_MODEL,
    ),
    Row(
        "only the representative window",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "status": "rejected",
                "reset": IN_5H,
                "representative-claim": "five_hour",
            }
        ),
        wait=3600,
        scope=ACCOUNT,
    ),
    Row(
        "the whole week",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "status": "rejected",
                "reset": IN_7D,
                "representative-claim": "seven_day",
            }
        ),
        wait=400_000,
        scope=ACCOUNT,
    ),
    Row(
        "utilization beyond 1 without a status",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "5h-utilization": "1.01",
                "5h-reset": IN_5H,
            }
        ),
        wait=3600,
        scope=ACCOUNT,
    ),
    Row(
        "out of credits with capacity left",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "status": "rejected",
                "5h-status": "allowed",
                "7d-status": "allowed",
                "overage-disabled-reason": "out_of_credits",
            }
        ),
        scope=REQUEST,
        redispatch=True,
        reason="out_of_credits",
    ),
    Row(
        "a wrong clock is corrected by Date",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "5h-status": "rejected",
                "5h-reset": IN_5H,
            }
        )
        | {"date": "Mon, 21 Sep 2026 14:03:20 GMT"},
        wait=4200,
    ),
    Row(
        "a reset in the past is now",
        429,
        RATE,
        QUOTA,
        unified(
            **{
                "5h-status": "rejected",
                "5h-reset": str(int(NOW) - 5),
            }
        ),
        wait=0,
    ),
    # API key
    Row(
        "key: retry-after",
        429,
        RATE,
        LIMITED,
        {
            "retry-after": "12",
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2026-09-21T14:14:20Z",
        },
        wait=12,
        scope=ACCOUNT,
        redispatch=True,
    ),
    Row(
        "key: the family that is used up",
        429,
        RATE,
        LIMITED,
        {
            "anthropic-ratelimit-requests-remaining": "3",
            "anthropic-ratelimit-requests-reset": "2026-09-21T15:00:00Z",
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": "2026-09-21T14:14:20Z",
            "date": DATE,
        },
        wait=60,
    ),
    Row("limit headers without a reset", 429, RATE, LIMITED, unified(**{"status": "allowed"}), wait=60),
    Row(
        "spend limit",
        429,
        {
            "type": "error",
            "error": {"type": "rate_limit_error", "code": "enforced_spend_limit_reached", "message": "x"},
        },
        QUOTA,
        no_wait=True,
    ),
    Row(
        "bare 429",
        429,
        error("rate_limit_error", "Error"),
        TRANSIENT,
        {"x-should-retry": "true", "x-robots-tag": "none"},
        no_wait=True,
        scope=ONE_MODEL,
        capacity=True,
        redispatch=True,
        reason="bare_429",
    ),
    Row(
        "extra usage is no rate limit",
        429,
        error("rate_limit_error", "Extra usage is required for long context"),
        DENIED,
        {"retry-after": "10"},
        scope=REQUEST,
        redispatch=True,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_answer(row: Row) -> None:
    """Each answer comes to the verdict of its line."""
    check("anthropic", row)
