"""Hosts with plain keys and limit headers: one row per line of wire-facts 7, 9, 10 and 12 to 14."""

from __future__ import annotations

import pytest
from hosted_shapes import CEREBRAS_RESETS, GROQ, GROQ_DAY, flat, google, wrapped
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
    TRANSIENT,
    Row,
    check,
)

ROWS = [
    (
        "groq",
        Row(
            "minute",
            429,
            wrapped(GROQ, type="tokens", code="rate_limit_exceeded"),
            LIMITED,
            {"retry-after": "6"},
            wait=6,
            scope=ONE_MODEL,
        ),
    ),
    ("groq", Row("minute by text", 429, wrapped(GROQ, type="tokens", code="rate_limit_exceeded"), LIMITED, wait=5.289)),
    (
        "groq",
        Row("day", 429, wrapped(GROQ_DAY, type="tokens", code="rate_limit_exceeded"), QUOTA, wait=432, scope=ONE_MODEL),
    ),
    (
        "groq",
        Row(
            "requests of the day",
            429,
            wrapped("limited, requests", type="requests"),
            LIMITED,
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.56s"},
            wait=179.56,
        ),
    ),
    ("groq", Row("flex capacity", 498, wrapped(code="capacity_exceeded"), TRANSIENT, capacity=True, scope=ONE_MODEL)),
    ("groq", Row("too large", 413, wrapped(code="rate_limit_exceeded"), FAULT)),
    ("groq", Row("tool", 400, wrapped(code="tool_use_failed", failed_generation='{"code":"invalid_api_key"}'), FAULT)),
    ("groq", Row("key", 401, wrapped(code="invalid_api_key"), AUTH)),
    ("groq", Row("model", 404, wrapped(code="model_not_found"), MODEL)),
    (
        "mistral",
        Row(
            "rate",
            429,
            flat("Rate limit exceeded", object="error", type="rate_limited", code="1300"),
            LIMITED,
            scope=ACCOUNT,
        ),
    ),
    ("mistral", Row("old form", 429, flat("Requests rate limit exceeded"), LIMITED)),
    (
        "mistral",
        Row(
            "capacity as 429",
            429,
            flat("Service tier capacity exceeded for this model.", type="invalid_request_error", code="3505"),
            TRANSIENT,
            capacity=True,
            scope=ONE_MODEL,
        ),
    ),
    (
        "mistral",
        Row("capacity as 503", 503, flat("Service tier capacity exceeded for this model."), TRANSIENT, capacity=True),
    ),
    (
        "mistral",
        Row(
            "month",
            429,
            flat("Rate limit exceeded", type="rate_limited"),
            QUOTA,
            {"x-ratelimitbysize-remaining-month": "0"},
        ),
    ),
    (
        "mistral",
        Row(
            "minute",
            429,
            flat("Rate limit exceeded"),
            LIMITED,
            {"x-ratelimitbysize-remaining-minute": "0", "x-ratelimitbysize-reset-minute": "17"},
            wait=17,
        ),
    ),
    ("mistral", Row("unauthorized", 401, {"detail": "Unauthorized"}, AUTH)),
    ("mistral", Row("billing", 402, flat("unpaid invoice"), QUOTA)),
    ("mistral", Row("tier", 403, flat("no"), DENIED, scope=ONE_MODEL, redispatch=True)),
    ("mistral", Row("pydantic", 422, {"detail": [{"msg": "field required", "type": "missing"}]}, FAULT)),
    ("codestral", Row("rate", 429, flat("Rate limit exceeded", type="rate_limited"), LIMITED)),
    (
        "xai",
        Row(
            "expired oauth",
            403,
            {"code": "unauthenticated:bad-credentials", "error": "The access token could not be validated"},
            AUTH,
        ),
    ),
    ("xai", Row("invalid key", 400, {"code": "x", "error": "Incorrect API key provided: x"}, AUTH)),
    ("xai", Row("free usage", 429, {"code": "subscription:free-usage-exhausted", "error": "x"}, QUOTA, wait=86_400)),
    (
        "xai",
        Row("blocked", 403, {"code": "x", "error": "The API key is blocked"}, DENIED, scope=ACCOUNT, redispatch=True),
    ),
    ("xai", Row("another 403", 403, {"code": "x", "error": "no"}, DENIED, redispatch=False)),
    ("grok", Row("expired oauth", 403, {"code": "bad-credentials", "error": "x"}, AUTH)),
    (
        "together",
        Row(
            "dynamic",
            429,
            {"error": {"type": "dynamic_token_limited", "message": "x"}},
            LIMITED,
            {"x-tokenlimit-remaining": "4", "x-ratelimit-reset": "2"},
            wait=2,
            scope=ONE_MODEL,
        ),
    ),
    ("together", Row("error_type", 429, {"error_type": "dynamic_request_limited", "message": "x"}, LIMITED)),
    ("together", Row("platform", 503, "", TRANSIENT, capacity=True)),
    ("together", Row("spend", 402, "", QUOTA)),
    ("together", Row("too long is a 403", 403, wrapped("x"), FAULT)),
    ("fireworks", Row("suspended", 412, {"error": "account suspended"}, DENIED, scope=ACCOUNT, redispatch=True)),
    ("fireworks", Row("no permission", 404, wrapped("x"), MODEL)),
    ("fireworks", Row("over limit", 429, {"error": "x"}, LIMITED, {"x-ratelimit-over-limit": "yes"})),
    ("fireworks", Row("unpaid", 402, {"error": "x"}, QUOTA)),
    (
        "cerebras",
        Row(
            "minute",
            429,
            flat(
                "Tokens per minute limit exceeded - too many tokens processed.",
                type="too_many_tokens_error",
                code="token_quota_exceeded",
            ),
            LIMITED,
            CEREBRAS_RESETS,
            wait=26.5,
            scope=ONE_MODEL,
        ),
    ),
    (
        "cerebras",
        Row(
            "day",
            429,
            flat("Tokens per day limit exceeded", type="too_many_tokens_error", code="token_quota_exceeded"),
            QUOTA,
            CEREBRAS_RESETS,
            wait=33011.38,
        ),
    ),
    (
        "cerebras",
        Row(
            "queue",
            429,
            flat("We're experiencing high traffic", type="too_many_requests_error", code="queue_exceeded"),
            TRANSIENT,
            CEREBRAS_RESETS,
            capacity=True,
            no_wait=True,
        ),
    ),
    ("cerebras", Row("model", 404, flat("x", code="model_not_found"), MODEL)),
    ("cerebras", Row("key", 401, flat("Wrong API key", code="wrong_api_key"), AUTH)),
    (
        "azure",
        Row(
            "rate",
            429,
            wrapped(
                "exceeded token rate limit of your current pricing tier. Please retry after 37 seconds.", code="429"
            ),
            LIMITED,
            wait=37,
            scope=ONE_MODEL,
        ),
    ),
    (
        "azure",
        Row(
            "integer resets",
            429,
            wrapped(code="RateLimitReached"),
            LIMITED,
            {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "42"},
            wait=42,
        ),
    ),
    (
        "azure",
        Row(
            "retry-after-ms",
            429,
            wrapped(code="429"),
            LIMITED,
            {"retry-after-ms": "1500", "retry-after": "9"},
            wait=1.5,
        ),
    ),
    ("azure", Row("key", 401, wrapped(code="401"), AUTH)),
    ("azure", Row("role", 401, wrapped(code="PermissionDenied"), DENIED, scope=ACCOUNT, redispatch=True)),
    ("azure", Row("network", 403, wrapped(code="403"), DENIED, scope=ACCOUNT, redispatch=True)),
    (
        "azure",
        Row(
            "deployment",
            404,
            wrapped("The API deployment for this resource does not exist.", code="DeploymentNotFound"),
            MODEL,
        ),
    ),
    (
        "azure",
        Row(
            "content filter",
            400,
            {
                "error": {
                    "code": "content_filter",
                    "param": "prompt",
                    "status": 400,
                    "message": "x",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            POLICY,
        ),
    ),
    ("azure", Row("capacity", 503, wrapped("The service is under high demand"), TRANSIENT, capacity=True)),
    ("azure", Row("other resource's reasoning", 400, wrapped(code="invalid_encrypted_content"), FAULT)),
    (
        "vertex",
        Row(
            "shared capacity",
            429,
            google(429, "RESOURCE_EXHAUSTED", "Resource exhausted, please try again later."),
            TRANSIENT,
            capacity=True,
            scope=ONE_MODEL,
        ),
    ),
    (
        "vertex",
        Row(
            "throughput",
            429,
            google(429, "RESOURCE_EXHAUSTED", "Too many requests. Exceeded the Provisioned Throughput."),
            LIMITED,
            scope=ONE_MODEL,
        ),
    ),
    (
        "vertex",
        Row(
            "quota",
            429,
            google(429, "RESOURCE_EXHAUSTED", "Quota exceeded for aiplatform.googleapis.com/x"),
            LIMITED,
            wait=60,
        ),
    ),
    ("vertex", Row("not in this region", 404, google(404, "NOT_FOUND", "Publisher Model not found"), MODEL)),
    (
        "vertex",
        Row(
            "claude",
            400,
            google(400, "INVALID_ARGUMENT", '{"type":"error","error":{"type":"overloaded_error","message":"x"}}'),
            TRANSIENT,
            capacity=True,
        ),
    ),
    (
        "mistral",
        Row(
            "capacity by code",
            429,
            flat("x", code="3505"),
            TRANSIENT,
            capacity=True,
            scope=ONE_MODEL,
            reason="service_tier_capacity",
        ),
    ),
    ("mistral", Row("rate by code", 429, flat("x", code="1300"), LIMITED)),
    (
        "azure",
        Row("blocked", 403, wrapped("Your resource is temporarily blocked"), DENIED, scope=ACCOUNT, redispatch=True),
    ),
    (
        "vertex",
        Row(
            "quota, bare",
            429,
            google(429, "X", "Quota exceeded for aiplatform.googleapis.com/x in us"),
            LIMITED,
            wait=60,
            scope=ONE_MODEL,
        ),
    ),
    ("vertex", Row("not in this region, by code", 404, google(404, "NOT_FOUND", "x"), MODEL)),
]


@pytest.mark.parametrize(("provider", "row"), ROWS, ids=lambda value: value.id if isinstance(value, Row) else value)
def test_answer(provider: str, row: Row) -> None:
    """Each answer comes to the verdict of its line."""
    check(provider, row)
