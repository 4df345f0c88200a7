"""Hosts whose limits stand in the body: one row per line of wire-facts 11 and 17 to 20."""

from __future__ import annotations

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
    POLICY,
    PROVIDER,
    QUOTA,
    REQUEST,
    TRANSIENT,
    Row,
    check,
)


def wrapped(message: str = "some message that is long enough", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


def google(code: int, status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message}}


def flat(message: str, **fields: Any) -> dict[str, Any]:
    return {"message": message, **fields}


def base(code: int) -> dict[str, Any]:
    return {"base_resp": {"status_code": code, "status_msg": "x"}}


GROQ = "Rate limit reached for model `x` on tokens per minute (TPM): Limit 15000. Please try again in 5.289s."
GROQ_DAY = "Rate limit reached for model `x` on tokens per day (TPD): Limit 500000. Please try again in 7m12s."
CEREBRAS_RESETS = {
    "x-ratelimit-reset-requests-day": "33011.38",
    "x-ratelimit-reset-tokens-minute": "26.5",
    "x-ratelimit-remaining-tokens-minute": "900",
}
ZAI = "Usage limit reached for 5 hour. Your limit will reset at 2026-09-21 23:13:20"

ROWS = [
    ("deepseek", Row("concurrency", 429, wrapped("x"), LIMITED, wait=5, scope=ONE_MODEL)),
    ("deepseek", Row("balance", 402, wrapped("Insufficient Balance"), QUOTA)),
    ("deepseek", Row("key", 401, wrapped("Authentication Fails", type="authentication_error"), AUTH)),
    ("deepseek", Row("overloaded", 503, wrapped("busy"), TRANSIENT, capacity=True, scope=PROVIDER)),
    ("deepseek", Row("422", 422, wrapped("x"), FAULT)),
    ("moonshot", Row("overloaded", 429, wrapped(type="engine_overloaded_error"), TRANSIENT, capacity=True)),
    ("moonshot", Row("quota", 429, wrapped(type="exceeded_current_quota_error"), QUOTA)),
    (
        "moonshot",
        Row(
            "rate",
            429,
            wrapped(type="rate_limit_reached_error"),
            LIMITED,
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"},
            wait=3,
        ),
    ),
    ("moonshot", Row("content", 400, wrapped(type="content_filter"), POLICY)),
    (
        "moonshot",
        Row(
            "too long",
            400,
            wrapped("Your request exceeded model token limit : 8192", type="invalid_request_error"),
            FAULT,
            reason="context_length_exceeded",
        ),
    ),
    ("moonshot-cn", Row("key of the other platform", 401, wrapped(type="invalid_authentication_error"), AUTH)),
    ("moonshot", Row("balance", 403, wrapped("Your balance is used up", type="permission_denied_error"), QUOTA)),
    (
        "kimi",
        Row(
            "billing cycle",
            403,
            wrapped("You've reached your usage limit for this billing cycle"),
            QUOTA,
            redispatch=True,
        ),
    ),
    ("kimi", Row("period", 429, wrapped("You've reached your usage limit for this period"), QUOTA)),
    ("kimi", Row("membership", 402, wrapped("unable to verify your membership benefits"), QUOTA)),
    (
        "kimi",
        Row(
            "coding agents",
            403,
            wrapped("Kimi For Coding is currently only available for Coding Agents"),
            DENIED,
            redispatch=False,
            scope=REQUEST,
        ),
    ),
    ("kimi", Row("terminated", 403, wrapped("Access terminated"), DENIED, scope=ACCOUNT, redispatch=True)),
    ("kimi", Row("overloaded", 429, wrapped("The engine is currently overloaded"), TRANSIENT, capacity=True)),
    ("kimi", Row("many", 429, wrapped("We're receiving too many requests"), LIMITED)),
    (
        "zai",
        Row(
            "5 h, in UTC+8",
            429,
            {"type": "error", "error": {"type": "1308", "message": ZAI}},
            QUOTA,
            wait=3600,
            scope=ACCOUNT,
        ),
    ),
    ("zai", Row("arrears", 429, wrapped(code="1113"), QUOTA)),
    ("zai", Row("concurrency", 429, wrapped(code="1302"), LIMITED, wait=5)),
    ("zai", Row("frequency", 429, wrapped(code=1303), LIMITED)),
    ("zai", Row("daily", 429, wrapped(code="1304"), QUOTA, wait=24 * 3600 - (22 * 3600 + 13 * 60 + 20))),
    ("zai", Row("overload", 429, wrapped(code="1305"), TRANSIENT, capacity=True, scope=PROVIDER)),
    ("zai", Row("model busy", 429, wrapped(code="1312"), TRANSIENT, capacity=True, scope=ONE_MODEL)),
    ("zai", Row("weekly", 429, wrapped(code="1310"), QUOTA)),
    ("zai", Row("further quotas", 429, wrapped(code="1318"), QUOTA)),
    ("zai", Row("expired plan", 429, wrapped(code="1309"), QUOTA)),
    ("zai", Row("auth", 401, wrapped(code="1002"), AUTH)),
    ("zai", Row("locked", 429, wrapped(code="1112"), DENIED, scope=ACCOUNT, redispatch=True)),
    ("zai", Row("fair use", 429, wrapped(code="1313"), DENIED, scope=ACCOUNT)),
    ("zai", Row("model", 400, wrapped(code="1211"), MODEL)),
    ("zai", Row("plan lacks model", 429, wrapped(code="1311"), MODEL)),
    ("zai", Row("permission", 434, wrapped(code="1220"), DENIED, scope=ONE_MODEL)),
    ("zai", Row("434", 434, "", DENIED, scope=ACCOUNT)),
    ("zai", Row("435", 435, "", FAULT)),
    ("zai", Row("prompt too long", 400, wrapped(code="1261"), FAULT)),
    ("zai", Row("bad params", 400, wrapped(code="1214"), FAULT)),
    ("zai", Row("unsafe", 400, wrapped(code="1301"), POLICY)),
    ("zai", Row("network", 500, wrapped(code="1234"), TRANSIENT)),
    ("bigmodel", Row("concurrency", 429, wrapped(code="1302"), LIMITED)),
    ("qwen", Row("rate", 429, flat("x", code="Throttling.RateQuota"), LIMITED)),
    ("qwen", Row("arrears", 400, flat("x", code="Arrearage"), QUOTA)),
    ("qwen-cn", Row("key", 401, flat("x", code="InvalidApiKey"), AUTH)),
    ("qwen", Row("content", 400, flat("x", code="DataInspectionFailed"), POLICY)),
    ("qwen-coding", Row("not JSON", 400, "cache_control is not supported", FAULT)),
    ("minimax", Row("rate", 429, base(1002), LIMITED)),
    ("minimax", Row("tokens", 429, base(1039), LIMITED)),
    ("minimax", Row("connections", 429, base(1041), LIMITED, wait=5)),
    ("minimax", Row("key", 401, base(2049), AUTH)),
    ("minimax", Row("balance", 402, base(1008), QUOTA)),
    ("minimax-cn", Row("plan", 429, base(2056), QUOTA)),
    ("minimax", Row("sensitive", 400, base(1026), POLICY)),
    ("minimax", Row("params", 400, base(2013), FAULT)),
    ("minimax", Row("server", 500, base(1033), TRANSIENT)),
    (
        "moonshot",
        Row(
            "overloaded by text",
            503,
            wrapped("The engine is currently overloaded, please try again later"),
            TRANSIENT,
            capacity=True,
            scope=ONE_MODEL,
        ),
    ),
    (
        "moonshot",
        Row(
            "overloaded by type",
            429,
            wrapped(type="engine_overloaded_error"),
            TRANSIENT,
            capacity=True,
            scope=ONE_MODEL,
        ),
    ),
    ("moonshot", Row("many, short", 429, wrapped("too many requests"), LIMITED)),
    ("kimi", Row("client", 403, wrapped("only available for Coding Agents"), DENIED, reason="coding_agents_only")),
    (
        "zai",
        Row(
            "model busy with a time", 429, wrapped(code="1312"), TRANSIENT, {"retry-after": "2"}, capacity=True, wait=2
        ),
    ),
    ("zai", Row("network as 429", 429, wrapped(code="1234"), TRANSIENT)),
    ("zai", Row("auth as 400", 400, wrapped(code="1001"), AUTH)),
    ("zai", Row("prompt too long, by name", 400, wrapped(code="1261"), FAULT, reason="context_length_exceeded")),
    ("zai", Row("bad params as 429", 429, wrapped(code="1210"), FAULT)),
    ("qwen", Row("key as 400", 400, flat("x", code="InvalidApiKey"), AUTH)),
    ("minimax", Row("key as 200", 500, base(1004), AUTH)),
    ("minimax", Row("balance as 500", 500, base(1008), QUOTA)),
    ("minimax", Row("plan as 500", 500, base(2056), QUOTA)),
    ("minimax", Row("params as 500", 500, base(2013), FAULT)),
    ("minimax", Row("server as 429", 429, base(1001), TRANSIENT)),
]


@pytest.mark.parametrize(("provider", "row"), ROWS, ids=lambda value: value.id if isinstance(value, Row) else value)
def test_answer(provider: str, row: Row) -> None:
    """Each answer comes to the verdict of its line."""
    check(provider, row)
