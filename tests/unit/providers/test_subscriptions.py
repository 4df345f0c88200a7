"""Codex, Copilot and OpenCode Zen: one row per line of wire-facts 3.3, 3.4, 4.3, 4.4 and 21."""

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
    NOW,
    ONE_MODEL,
    POLICY,
    QUOTA,
    REGION,
    REQUEST,
    TRANSIENT,
    Row,
    check,
)


def codex(kind: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "The usage limit has been reached", **fields}}


def copilot(code: str, message: str = "Sorry, you have exceeded your limit of requests for now.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def zen(kind: str, message: str = "x") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


AT = int(NOW) + 5000

ROWS = [
    (
        "codex",
        Row(
            "plan window",
            429,
            codex("usage_limit_reached", plan_type="plus", resets_at=AT),
            QUOTA,
            wait=5000,
            scope=ACCOUNT,
            redispatch=True,
            reason="usage_limit_reached",
        ),
    ),
    (
        "codex",
        Row("resets_in_seconds", 429, codex("usage_limit_reached", resets_in_seconds=603723), QUOTA, wait=603723),
    ),
    ("codex", Row("plan window as 403", 403, codex("usage_limit_reached", resets_at=AT), QUOTA, wait=5000)),
    (
        "codex",
        Row(
            "the later of the windows in the headers",
            429,
            codex("usage_limit_reached"),
            QUOTA,
            {
                "x-codex-primary-used-percent": "100",
                "x-codex-primary-window-minutes": "10080",
                "x-codex-primary-reset-at": str(AT),
                "x-codex-secondary-used-percent": "12.5",
                "x-codex-secondary-reset-at": str(AT + 9),
            },
            wait=5000,
        ),
    ),
    (
        "codex",
        Row(
            "reset-after when reset-at is empty",
            429,
            codex("usage_limit_reached"),
            QUOTA,
            {
                "x-codex-primary-used-percent": "100",
                "x-codex-primary-reset-at": "",
                "x-codex-primary-reset-after-seconds": "77",
            },
            wait=77,
        ),
    ),
    (
        "codex",
        Row(
            "a metered model's window",
            429,
            codex("usage_limit_reached", resets_at=AT),
            QUOTA,
            {"x-codex-active-limit": "codex_bengalfox"},
            scope=ONE_MODEL,
            wait=5000,
        ),
    ),
    (
        "codex",
        Row(
            "the plan's window by name",
            429,
            codex("usage_limit_reached", resets_at=AT),
            QUOTA,
            {"x-codex-active-limit": "codex"},
            scope=ACCOUNT,
        ),
    ),
    (
        "codex",
        Row(
            "only a metered window is used up",
            429,
            codex("usage_limit_reached"),
            QUOTA,
            {
                "x-codex-primary-used-percent": "50",
                "x-codex-bengalfox-primary-used-percent": "100",
                "x-codex-bengalfox-primary-reset-after-seconds": "60",
            },
            scope=ONE_MODEL,
            wait=60,
        ),
    ),
    (
        "codex",
        Row(
            "workspace cap",
            429,
            codex("usage_limit_reached"),
            QUOTA,
            {"x-codex-rate-limit-reached-type": "workspace_member_credits"},
            scope=ACCOUNT,
            reason="workspace_limit",
        ),
    ),
    (
        "codex",
        Row(
            "used up, said by headers only",
            429,
            "{}",
            QUOTA,
            {
                "x-codex-5h-reset-at": str(AT),
                "x-codex-primary-used-percent": "100.0",
                "x-codex-primary-reset-after-seconds": "9",
            },
            wait=9,
        ),
    ),
    ("codex", Row("not in plan", 404, codex("usage_not_included"), QUOTA, scope=ACCOUNT)),
    (
        "codex",
        Row(
            "short throttle",
            429,
            {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
            LIMITED,
            {"retry-after": "4"},
            wait=4,
        ),
    ),
    (
        "codex",
        Row(
            "model not for ChatGPT",
            400,
            {"detail": "The 'x' model is not supported when using Codex with a ChatGPT account."},
            MODEL,
            scope=ONE_MODEL,
            redispatch=True,
        ),
    ),
    (
        "codex",
        Row(
            "at capacity",
            400,
            {"detail": "Selected model is at capacity. Please try a different model."},
            TRANSIENT,
            capacity=True,
            scope=ONE_MODEL,
        ),
    ),
    ("codex", Row("overloaded", 503, {"error": {"code": "server_is_overloaded"}}, TRANSIENT, capacity=True)),
    ("codex", Row("revoked", 401, {"error": {"code": "oauth_token_revoked"}}, AUTH, reason="oauth_token_revoked")),
    ("codex", Row("authorization header", 403, "", AUTH, {"x-openai-authorization-error": "expired"})),
    (
        "codex",
        Row(
            "workspace gone", 402, {"detail": {"code": "deactivated_workspace"}}, DENIED, scope=ACCOUNT, redispatch=True
        ),
    ),
    (
        "codex",
        Row(
            "cloudflare",
            403,
            "<title>Just a moment...</title>",
            DENIED,
            {"cf-mitigated": "challenge"},
            scope=REQUEST,
            redispatch=False,
        ),
    ),
    ("codex", Row("policy", 400, {"error": {"code": "bio_policy"}}, POLICY)),
    (
        "codex",
        Row(
            "socket too old",
            400,
            {"type": "error", "error": {"code": "websocket_connection_limit_reached"}},
            TRANSIENT,
            scope=REQUEST,
        ),
    ),
    ("copilot", Row("global, short", 429, copilot("user_global_rate_limited", "no"), LIMITED)),
    ("copilot", Row("short", 429, copilot("rate_limited", "no"), LIMITED)),
    ("copilot", Row("agent mode, short", 429, copilot("agent_mode_limit_exceeded", "no"), LIMITED)),
    ("copilot", Row("expired as 403", 403, "IDE token expired: unauthorized", AUTH)),
    ("opencode", Row("model access", 401, zen("ModelAccessError"), MODEL)),
    ("opencode", Row("region as 401", 401, zen("RegionError"), REGION)),
    ("opencode", Row("auth by class", 403, zen("AuthError"), AUTH)),
    ("opencode", Row("rate, bare", 429, zen("RateLimitError"), LIMITED)),
    (
        "copilot",
        Row(
            "weekly",
            429,
            copilot("user_weekly_rate_limited", "Please try again in 51 hours."),
            QUOTA,
            wait=183_600,
            scope=ACCOUNT,
            redispatch=True,
        ),
    ),
    (
        "copilot",
        Row("session", 429, copilot("interaction_session_rate_limited"), QUOTA, {"retry-after": "7200"}, wait=7200),
    ),
    (
        "copilot",
        Row(
            "global with a plan behind it",
            429,
            copilot("user_global_rate_limited:pro"),
            LIMITED,
            {"retry-after": "60"},
            wait=60,
        ),
    ),
    (
        "copilot",
        Row(
            "per model",
            429,
            copilot("user_model_rate_limited"),
            LIMITED,
            {"retry-after": "60"},
            scope=ONE_MODEL,
            wait=60,
        ),
    ),
    ("copilot", Row("burst", 429, copilot("interaction_burst_rate_limited"), LIMITED, scope=ACCOUNT)),
    ("copilot", Row("agent mode", 429, copilot("agent_mode_limit_exceeded"), LIMITED)),
    (
        "copilot",
        Row(
            "overloaded model", 429, copilot("model_overloaded"), TRANSIENT, {"retry-after": "9"}, capacity=True, wait=9
        ),
    ),
    (
        "copilot",
        Row(
            "upstream's limit", 429, copilot("upstream_provider_rate_limit"), TRANSIENT, capacity=True, scope=ONE_MODEL
        ),
    ),
    ("copilot", Row("integration", 429, copilot("integration_rate_limited"), TRANSIENT, capacity=True)),
    ("copilot", Row("quota", 402, copilot("quota_exceeded"), QUOTA, scope=ACCOUNT)),
    ("copilot", Row("premium quota", 402, copilot("premium_model_quota_exceeded"), QUOTA, scope=ONE_MODEL)),
    ("copilot", Row("billing", 402, copilot("billing_not_configured"), QUOTA)),
    ("copilot", Row("expired", 401, "unauthorized: token expired", AUTH)),
    ("copilot", Row("no licence", 403, copilot("feature_flag_blocked"), DENIED, scope=ACCOUNT, redispatch=True)),
    ("copilot", Row("another 403", 403, "no", DENIED, redispatch=False)),
    ("copilot", Row("client too old", 466, "", FAULT, reason="client_too_old")),
    ("copilot", Row("model", 400, copilot("model_not_supported"), MODEL)),
    ("copilot", Row("too long", 400, copilot("model_max_prompt_tokens_exceeded"), FAULT)),
    (
        "copilot",
        Row(
            "plain text limit",
            429,
            "you are limited",
            LIMITED,
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(AT)},
            wait=5000,
        ),
    ),
    (
        "opencode",
        Row(
            "credits are a 401", 401, zen("CreditsError"), QUOTA, scope=ACCOUNT, redispatch=True, reason="creditserror"
        ),
    ),
    ("opencode", Row("monthly", 401, zen("MonthlyLimitError"), QUOTA)),
    ("opencode", Row("model is a 401", 401, zen("ModelError"), MODEL)),
    ("opencode", Row("auth", 401, zen("AuthError"), AUTH)),
    ("opencode", Row("region", 403, zen("RegionError"), REGION)),
    ("opencode", Row("rate", 429, zen("RateLimitError"), LIMITED, {"retry-after": "5"}, wait=5)),
    (
        "opencode",
        Row("go window in words", 429, zen("GoUsageLimitError", "Weekly limit. Retry in 5 days"), QUOTA, wait=432_000),
    ),
    (
        "opencode",
        Row(
            "go window",
            429,
            zen("GoUsageLimitError", "Retry in 15hr 51min"),
            QUOTA,
            {"retry-after": "57060"},
            wait=57_060,
        ),
    ),
    ("opencode", Row("free", 429, zen("FreeUsageLimitError"), QUOTA)),
    ("opencode", Row("server", 500, zen("error"), TRANSIENT)),
]


@pytest.mark.parametrize(("provider", "row"), ROWS, ids=lambda value: value.id if isinstance(value, Row) else value)
def test_answer(provider: str, row: Row) -> None:
    """Each answer comes to the verdict of its line."""
    check(provider, row)
