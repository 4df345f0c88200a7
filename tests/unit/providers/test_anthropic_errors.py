"""Anthropic's errors: one row per line of wire-facts 1.4."""

from __future__ import annotations

import pytest
from anthropic_shapes import IN_5H, error, unified
from provider_rows import (
    ACCOUNT,
    AUTH,
    DENIED,
    FAULT,
    MODEL,
    ONE_MODEL,
    PROVIDER,
    QUOTA,
    REQUEST,
    TRANSIENT,
    Row,
    check,
)

ROWS = [
    # Errors
    Row(
        "invalid request",
        400,
        error("invalid_request_error", "messages: required"),
        FAULT,
        redispatch=False,
        scope=REQUEST,
    ),
    Row(
        "too long",
        400,
        error("invalid_request_error", "prompt is too long: 210000 tokens > 200000"),
        FAULT,
        reason="context_length_exceeded",
    ),
    Row("body too large", 413, error("request_too_large", "Request exceeds the maximum size"), FAULT),
    Row(
        "low credit",
        400,
        error("invalid_request_error", "Your credit balance is too low to access the API"),
        QUOTA,
        no_wait=True,
        redispatch=True,
    ),
    Row("billing", 402, error("billing_error", "x"), QUOTA),
    Row(
        "bad key",
        401,
        error("authentication_error", "invalid x-api-key"),
        AUTH,
        redispatch=True,
        scope=ACCOUNT,
        reason="authentication_error",
    ),
    Row("expired token", 401, error("authentication_error", "OAuth token has expired"), AUTH),
    Row(
        "oauth unsupported",
        401,
        error("authentication_error", "OAuth authentication is currently not supported."),
        AUTH,
    ),
    Row(
        "organisation disabled",
        400,
        error("invalid_request_error", "This organization has been disabled."),
        DENIED,
        scope=ACCOUNT,
        redispatch=True,
    ),
    Row(
        "oauth off",
        403,
        error("permission_error", "OAuth authentication is currently not allowed for this organization."),
        DENIED,
        scope=ACCOUNT,
        redispatch=True,
    ),
    Row(
        "claude code only",
        400,
        error(
            "invalid_request_error",
            "This credential is only authorized for use with Claude Code and cannot be used for other API requests.",
        ),
        DENIED,
        redispatch=True,
        reason="claude_code_only",
    ),
    Row(
        "scope missing",
        403,
        error("permission_error", "does not meet scope requirement user:profile"),
        DENIED,
        reason="scope_missing",
    ),
    Row("unknown 403", 403, error("permission_error", "no"), DENIED, redispatch=False, scope=REQUEST),
    Row("model unknown", 404, error("not_found_error", "model: claude-9"), MODEL, scope=ONE_MODEL, redispatch=True),
    Row("another 404", 404, error("not_found_error", "Not found"), FAULT),
    Row("timeout", 504, error("timeout_error", "x"), TRANSIENT),
    Row("408", 408, error("timeout_error", "x"), TRANSIENT),
    Row("server", 500, error("api_error", "Internal server error"), TRANSIENT, redispatch=True),
    Row(
        "overloaded",
        529,
        error("overloaded_error", "Overloaded"),
        TRANSIENT,
        capacity=True,
        scope=PROVIDER,
        no_wait=True,
    ),
    Row(
        "overload ignores window resets",
        529,
        error("overloaded_error", "Overloaded"),
        TRANSIENT,
        unified(
            **{
                "5h-status": "rejected",
                "5h-reset": IN_5H,
            }
        ),
        capacity=True,
        no_wait=True,
    ),
    Row(
        "overload's pushback is capped",
        529,
        error("overloaded_error", "Overloaded"),
        TRANSIENT,
        {"retry-after": "7200"},
        capacity=True,
        wait=300,
    ),
    Row("extra usage empty", 400, error("invalid_request_error", "out of extra usage"), QUOTA, scope=REQUEST),
    Row("unknown beta", 400, error("invalid_request_error", "speed: Extra inputs are not permitted"), FAULT),
    Row(
        "signature",
        400,
        error("invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"),
        FAULT,
        reason="invalid_signature",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_answer(row: Row) -> None:
    """Each answer comes to the verdict of its line."""
    check("anthropic", row)
