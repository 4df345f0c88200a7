"""OpenAI platform: one row per line of wire-facts 2.3 and 2.4."""

from __future__ import annotations

import pytest
from provider_rows import (
    ACCOUNT,
    AUTH,
    DENIED,
    FAULT,
    LIMITED,
    MODEL,
    ONE_MODEL,
    POLICY,
    QUOTA,
    REGION,
    TRANSIENT,
    Row,
    check,
)


def error(message: str, kind: str | None, code: str | int | None) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


LIMIT = error("Rate limit reached for gpt-5. Please try again in 1.898s.", "tokens", "rate_limit_exceeded")

ROWS = [
    Row(
        "retry-after",
        429,
        LIMIT,
        LIMITED,
        {"retry-after": "20"},
        wait=20,
        scope=ACCOUNT,
        redispatch=True,
        reason="rate_limit_exceeded",
    ),
    Row("retry-after-ms first", 429, LIMIT, LIMITED, {"retry-after": "20", "retry-after-ms": "898.5"}, wait=0.8985),
    Row("retry-after as a date", 429, LIMIT, LIMITED, {"retry-after": "Mon, 21 Sep 2026 14:14:20 GMT"}, wait=60),
    Row(
        "the family with nothing left",
        429,
        LIMIT,
        LIMITED,
        {
            "x-ratelimit-remaining-requests": "10",
            "x-ratelimit-reset-requests": "1h2m3s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        wait=360,
    ),
    Row(
        "Go milliseconds",
        429,
        LIMIT,
        LIMITED,
        {
            "x-ratelimit-remaining-project-tokens": "0",
            "x-ratelimit-reset-project-tokens": "120ms",
        },
        wait=0.12,
    ),
    Row(
        "only the text",
        429,
        LIMIT,
        LIMITED,
        {"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"},
        wait=1.898,
    ),
    Row("text in ms", 429, error("Please try again in 898ms.", "requests", "rate_limit_exceeded"), LIMITED, wait=0.898),
    Row("type without code", 429, error("Slow down please, you are limited", "requests", None), LIMITED, no_wait=True),
    Row("bare", 429, b"", TRANSIENT, capacity=True, scope=ONE_MODEL, no_wait=True, redispatch=True, reason="bare_429"),
    Row("bare text", 429, "Too Many Requests", TRANSIENT, capacity=True, reason="bare_429"),
    Row("headers but no code", 429, b"", LIMITED, {"retry-after": "3"}, wait=3),
    Row(
        "quota",
        429,
        error("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
        QUOTA,
        {"retry-after": "1"},
        scope=ACCOUNT,
        redispatch=True,
        reason="insufficient_quota",
    ),
    Row("hard limit", 429, error("x", "invalid_request_error", "billing_hard_limit_reached"), QUOTA),
    Row("current quota", 429, error("x", "exceeded_current_quota_error", None), QUOTA, no_wait=True),
    Row(
        "bad key",
        401,
        error("Incorrect API key provided", "invalid_request_error", "invalid_api_key"),
        AUTH,
        redispatch=True,
        reason="invalid_api_key",
    ),
    Row("401 without a body", 401, b"", AUTH, reason="unauthorized"),
    Row("organisation", 401, error("x", "invalid_request_error", "mismatched_organization"), AUTH),
    Row(
        "region",
        403,
        error("Country not supported", "request_forbidden", "unsupported_country_region_territory"),
        REGION,
        redispatch=False,
    ),
    Row("forbidden", 403, error("no", "invalid_request_error", None), DENIED, redispatch=False),
    Row(
        "model",
        404,
        error("The model `x` does not exist", "invalid_request_error", "model_not_found"),
        MODEL,
        scope=ONE_MODEL,
        redispatch=True,
    ),
    Row("404", 404, error("Invalid URL", "invalid_request_error", None), FAULT),
    Row(
        "too long",
        400,
        error("maximum context length is 8192", "invalid_request_error", "context_length_exceeded"),
        FAULT,
        redispatch=False,
        reason="context_length_exceeded",
    ),
    Row(
        "overloaded",
        503,
        error("busy", "server_error", "server_is_overloaded"),
        TRANSIENT,
        {"retry-after": "5"},
        capacity=True,
        wait=5,
    ),
    Row("slow down", 503, error("busy", None, "slow_down"), TRANSIENT, capacity=True),
    Row("server", 500, error("oops", "server_error", None), TRANSIENT, redispatch=True),
    Row("bad gateway", 502, "<html><title>502 Bad Gateway</title></html>", TRANSIENT),
    Row("cyber policy", 400, error("no", "invalid_request_error", "cyber_policy"), POLICY, redispatch=False),
    Row("invalid prompt", 400, error("no", None, "invalid_prompt"), POLICY),
    Row("image policy", 400, error("no", None, "image_content_policy_violation"), POLICY),
    Row("residency", 400, error("no", None, "data_residency_mismatch"), REGION),
    Row("bad image", 400, error("no", "invalid_request_error", "invalid_value"), FAULT, reason="bad_image"),
    Row(
        "encrypted",
        400,
        error(
            "The encrypted content gAAA could not be verified.", "invalid_request_error", "invalid_encrypted_content"
        ),
        FAULT,
        reason="invalid_encrypted_content",
    ),
    Row(
        "previous response",
        400,
        error("no", "invalid_request_error", "previous_response_not_found"),
        FAULT,
        reason="previous_response_not_found",
    ),
    Row(
        "numeric code",
        429,
        error("Limit reached for this organisation; try again in 20s", "requests", 429),
        LIMITED,
        wait=20,
    ),
    Row("422", 422, {"detail": [{"msg": "field required", "input": {"code": "insufficient_quota"}}]}, FAULT),
    Row("451", 451, b"", REGION),
    Row("redirected by a captive portal", 511, "<html>", TRANSIENT),
    Row("at capacity by text", 400, error("Selected model is at capacity.", None, None), TRANSIENT, capacity=True),
    Row("location by text", 400, error("User location is not supported", None, None), REGION),
    Row(
        "too long by text",
        400,
        error("This exceeds the context window", None, None),
        FAULT,
        reason="context_length_exceeded",
    ),
    Row("424", 424, b"", TRANSIENT),
    Row("501", 501, b"", FAULT),
    Row("529", 529, b"", TRANSIENT, capacity=True),
    Row("524", 524, b"", TRANSIENT, reason="server_error"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_answer(row: Row) -> None:
    """Each answer comes to the verdict of its line."""
    check("openai", row)
