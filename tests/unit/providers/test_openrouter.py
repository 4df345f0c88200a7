"""OpenRouter: one row per line of wire-facts section 8."""

from __future__ import annotations

from typing import Any

import pytest
from provider_rows import (
    ACCOUNT,
    AUTH,
    FAULT,
    LIMITED,
    MODEL,
    NOW,
    ONE_MODEL,
    POLICY,
    QUOTA,
    TRANSIENT,
    Row,
    check,
)


def error(code: int, message: str, **metadata: Any) -> Any:
    return {"error": {"code": code, "message": message, "metadata": metadata}, "user_id": "user_1"}


TO_MIDNIGHT = 24 * 3600 - (14 * 3600 + 13 * 60 + 20)
RESET = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int((NOW + 7200) * 1000))}

ROWS = [
    Row(
        "free models a day",
        429,
        error(429, "Rate limit exceeded: free-models-per-day.", limit_source="x"),
        QUOTA,
        wait=TO_MIDNIGHT,
        scope=ONE_MODEL,
        redispatch=True,
    ),
    Row(
        "free models a day, by source",
        429,
        error(429, "x", limit_source="openrouter_free_tier_daily"),
        QUOTA,
        wait=TO_MIDNIGHT,
    ),
    Row(
        "free models a minute, reset in ms",
        429,
        error(429, "Rate limit exceeded: free-models-per-min.", headers=RESET),
        LIMITED,
        wait=7200,
        scope=ONE_MODEL,
    ),
    Row(
        "reset as HTTP headers",
        429,
        error(429, "Rate limit exceeded, slow down please, thank you."),
        LIMITED,
        RESET,
        wait=7200,
    ),
    Row(
        "shared capacity",
        429,
        error(429, "x", limit_source="openrouter_shared_capacity"),
        TRANSIENT,
        capacity=True,
        scope=ONE_MODEL,
    ),
    Row(
        "high demand",
        429,
        error(429, "High demand for x/y on OpenRouter - limited to 5 requests per minute."),
        TRANSIENT,
        capacity=True,
    ),
    Row(
        "upstream's limit is not the account's",
        429,
        error(
            429,
            "Provider returned error",
            provider_name="P",
            raw='{"error":{"code":"insufficient_quota","message":"quota"}}',
        ),
        TRANSIENT,
        capacity=True,
        scope=ONE_MODEL,
    ),
    Row(
        "reserved credits",
        402,
        error(402, "x", limit_source="openrouter_in_flight_budget"),
        LIMITED,
        {"retry-after": "4"},
        wait=4,
    ),
    Row("no credits", 402, error(402, "Insufficient credits"), QUOTA, no_wait=True, scope=ACCOUNT, redispatch=True),
    Row("key", 401, error(401, "No auth credentials found"), AUTH),
    Row(
        "moderation",
        403,
        error(403, "Input was flagged", reasons=["violence"], flagged_input="..."),
        POLICY,
        redispatch=False,
    ),
    Row("bad request", 400, error(400, "x"), FAULT),
    Row("timeout", 408, error(408, "x"), TRANSIENT),
    Row("provider down", 502, error(502, "Bad gateway"), TRANSIENT, capacity=True),
    Row("no provider", 503, error(503, "No endpoints"), TRANSIENT, {"retry-after": "9"}, capacity=True, wait=9),
    Row("limited by name", 429, {"error": {"code": "rate_limit_exceeded", "message": "x"}}, LIMITED),
    Row("model", 404, error(404, "No endpoints found for model x"), MODEL),
    Row(
        "shared capacity, by its reason",
        429,
        error(429, "x", limit_source="openrouter_shared_capacity"),
        TRANSIENT,
        {"retry-after": "3"},
        capacity=True,
        wait=3,
    ),
    Row("upstream down", 500, error(500, "Provider returned error"), TRANSIENT, capacity=True, scope=ONE_MODEL),
    Row("reserved credits without a time", 402, error(402, "x", limit_source="openrouter_in_flight_budget"), LIMITED),
    Row("reserved credits by retry-after", 402, error(402, "x"), LIMITED, {"retry-after": "4"}, wait=4),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_answer(row: Row) -> None:
    """Each answer comes to the verdict of its line."""
    check("openrouter", row)
