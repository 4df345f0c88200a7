"""The Google envelope: one row per line of wire-facts 5.3, 5.4 and 6.3. Midnight Pacific is 16.8 h after `NOW`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from provider_rows import (
    ACCOUNT,
    AUTH,
    DENIED,
    FAULT,
    LIMITED,
    MODEL,
    ONE_MODEL,
    QUOTA,
    REGION,
    TRANSIENT,
    Row,
    check,
)

# 14:13:20 UTC is 07:13:20 in California.
TO_MIDNIGHT = 24 * 3600 - (7 * 3600 + 13 * 60 + 20)


def error(code: int, status: str, message: str = "Quota exceeded, see the details.", *details: dict[str, Any]) -> Any:
    return {"error": {"code": code, "status": status, "message": message, "details": list(details)}}


def retry(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota(*ids: str) -> dict[str, Any]:
    violations = [{"quotaMetric": "generativelanguage.googleapis.com/x", "quotaId": quota_id} for quota_id in ids]
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}


def info(reason: str, **metadata: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}


DAY, MINUTE = (
    "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
    "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
)
TOKENS = "GenerateContentInputTokensPerModelPerMinute-FreeTier"
EXHAUSTED = "RESOURCE_EXHAUSTED"

ROWS = [
    Row(
        "per minute",
        429,
        error(429, EXHAUSTED, "x", quota(MINUTE), retry("36s")),
        LIMITED,
        wait=36,
        scope=ONE_MODEL,
        redispatch=True,
    ),
    Row("per minute without RetryInfo", 429, error(429, EXHAUSTED, "x", quota(TOKENS)), LIMITED, wait=60),
    Row("per day", 429, error(429, EXHAUSTED, "x", quota(DAY), retry("36s")), QUOTA, wait=TO_MIDNIGHT, scope=ONE_MODEL),
    Row(
        "minute and day and tokens",
        429,
        error(429, EXHAUSTED, "x", quota(MINUTE, DAY, TOKENS), retry("51s")),
        QUOTA,
        wait=TO_MIDNIGHT,
    ),
    Row(
        "the longest RetryInfo",
        429,
        error(429, EXHAUSTED, "x", quota(MINUTE), retry("3s"), retry("51820.638305887s")),
        LIMITED,
        wait=51820.638,
    ),
    Row("text only", 429, error(429, EXHAUSTED, "Quota exceeded. Please retry in 36.5s."), LIMITED, wait=36.5),
    Row(
        "limit 0",
        429,
        error(429, EXHAUSTED, "Quota exceeded for metric: x, limit: 0, model: y"),
        MODEL,
        scope=ONE_MODEL,
    ),
    Row(
        "bare form",
        429,
        error(429, EXHAUSTED, "Resource has been exhausted (e.g. check quota)."),
        LIMITED,
        wait=60,
        scope=ACCOUNT,
    ),
    Row("array framing", 429, [error(429, EXHAUSTED, "x", quota(MINUTE), retry("36s"))], LIMITED, wait=36),
    Row(
        "stringified",
        429,
        error(429, EXHAUSTED, json.dumps(error(429, EXHAUSTED, "x", quota(DAY)))),
        QUOTA,
        wait=TO_MIDNIGHT,
    ),
    Row(
        "invalid key",
        400,
        error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", info("API_KEY_INVALID")),
        AUTH,
        redispatch=True,
        reason="api_key_invalid",
    ),
    Row("invalid key by text", 400, error(400, "INVALID_ARGUMENT", "API key not valid."), AUTH),
    Row("bad request", 400, error(400, "INVALID_ARGUMENT", "bad"), FAULT, redispatch=False),
    Row(
        "too long",
        400,
        error(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum (8)"),
        FAULT,
        reason="context_length_exceeded",
    ),
    Row("region", 400, error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), REGION),
    Row(
        "billing off",
        400,
        error(400, "FAILED_PRECONDITION", "Free tier is not available, enable billing"),
        DENIED,
        scope=ACCOUNT,
        redispatch=True,
    ),
    Row(
        "leaked key",
        403,
        error(403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
        DENIED,
        scope=ACCOUNT,
        redispatch=True,
    ),
    Row(
        "service disabled",
        403,
        error(403, "PERMISSION_DENIED", "x", info("SERVICE_DISABLED")),
        DENIED,
        scope=ACCOUNT,
        reason="service_disabled",
    ),
    Row(
        "validation",
        403,
        error(403, "PERMISSION_DENIED", "x", info("VALIDATION_REQUIRED")),
        DENIED,
        reason="validation_required",
    ),
    Row("prepaid", 402, error(402, EXHAUSTED), QUOTA),
    Row("interactions", 402, {"error": {"code": "payment_required", "message": "x"}}, QUOTA),
    Row("model", 404, error(404, "NOT_FOUND", "models/x is not found for API version v1beta"), MODEL),
    Row("file", 404, error(404, "NOT_FOUND", "File does not exist"), FAULT),
    Row("cancelled", 499, error(499, "CANCELLED"), TRANSIENT),
    Row("internal", 500, error(500, "INTERNAL"), TRANSIENT),
    Row(
        "overloaded",
        503,
        error(503, "UNAVAILABLE", "The model is overloaded."),
        TRANSIENT,
        capacity=True,
        scope=ONE_MODEL,
    ),
    Row("deadline", 504, error(504, "DEADLINE_EXCEEDED"), TRANSIENT),
    Row("token", 401, error(401, "UNAUTHENTICATED"), AUTH),
    # Code Assist
    Row(
        "short throttle", 429, error(429, EXHAUSTED, "x", info("RATE_LIMIT_EXCEEDED"), retry("3.9s")), LIMITED, wait=3.9
    ),
    Row("short throttle without delay", 429, error(429, EXHAUSTED, "x", info("RATE_LIMIT_EXCEEDED")), LIMITED, wait=10),
    Row(
        "plan window",
        429,
        error(
            429,
            EXHAUSTED,
            "x",
            info(
                "QUOTA_EXHAUSTED",
                quotaResetDelay="143h4m52.730699158s",
                quotaResetTimeStamp="2026-09-21T15:00:00Z",
                model="m-1",
            ),
        ),
        QUOTA,
        wait=515092.7307,
        scope=ONE_MODEL,
    ),
    Row(
        "plan window in text",
        429,
        error(
            429, EXHAUSTED, "You have exhausted your capacity on this model. Your quota will reset after 156h14m36s."
        ),
        QUOTA,
        wait=562476,
    ),
    Row(
        "no capacity",
        429,
        error(429, EXHAUSTED, "x", info("MODEL_CAPACITY_EXHAUSTED"), retry("5s")),
        TRANSIENT,
        capacity=True,
        scope=ONE_MODEL,
        wait=5,
    ),
    Row("credits", 429, error(429, EXHAUSTED, "x", info("INSUFFICIENT_G1_CREDITS_BALANCE")), QUOTA),
    Row("security policy", 403, error(403, "PERMISSION_DENIED", "x", info("SECURITY_POLICY_VIOLATED")), DENIED),
    Row("shut down", 403, error(403, "PERMISSION_DENIED", "x", info("UNSUPPORTED_CLIENT")), DENIED, scope=ACCOUNT),
    Row(
        "individuals are not served",
        403,
        error(403, "PERMISSION_DENIED", "x", info("UNSUPPORTED_CLIENT")),
        DENIED,
        reason="unsupported_client",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_answer(row: Row) -> None:
    """Each answer comes to the verdict of its line."""
    check("gemini", row)
