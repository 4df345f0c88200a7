"""OpenAI's error bodies, shared by its two dialects (wire-facts 2.4 and 3.4)."""

from __future__ import annotations

from typing import Any

from mitm_balancer.testing.ask import Ask
from mitm_balancer.testing.voices.base import ErrorAnswer, ErrorKind, Fault, dump, seconds_text

CODEX_QUOTA_WAIT = 5 * 3600.0
"""The subscription's short window, in seconds."""

_REQUEST = "invalid_request_error"
_ERRORS: dict[ErrorKind, tuple[int, str, str | None, str]] = {
    ErrorKind.RATE_LIMIT: (429, "requests", "rate_limit_exceeded", "Rate limit reached for {model}."),
    ErrorKind.BARE_429: (429, "requests", "rate_limit_exceeded", "Rate limit reached for {model}."),
    ErrorKind.QUOTA: (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    ErrorKind.PAYMENT: (402, "billing_error", "billing_hard_limit_reached", "Billing hard limit has been reached."),
    ErrorKind.AUTH: (401, _REQUEST, "invalid_api_key", "Incorrect API key provided."),
    ErrorKind.PERMISSION: (403, "permission_error", None, "You do not have access to this resource."),
    ErrorKind.REGION: (
        403,
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    ErrorKind.MODEL: (404, _REQUEST, "model_not_found", "The model `{model}` does not exist."),
    ErrorKind.INVALID: (400, _REQUEST, None, "Missing required parameter: 'messages'."),
    ErrorKind.CONTEXT: (400, _REQUEST, "context_length_exceeded", "Your input exceeds the context window."),
    ErrorKind.POLICY: (400, _REQUEST, "content_policy_violation", "Your request was rejected by the safety system."),
    ErrorKind.TOO_LARGE: (413, _REQUEST, None, "Request too large."),
    ErrorKind.SERVER: (500, "server_error", "server_error", "The server had an error processing your request."),
    ErrorKind.BAD_GATEWAY: (502, "server_error", None, "Bad gateway."),
    ErrorKind.UNAVAILABLE: (503, "server_error", "server_is_overloaded", "The server is currently overloaded."),
    ErrorKind.GATEWAY_TIMEOUT: (504, "server_error", None, "Gateway timeout."),
    ErrorKind.OVERLOADED: (503, "server_error", "slow_down", "Slow down."),
}


def error(ask: Ask, fault: Fault) -> ErrorAnswer:
    status = _ERRORS[fault.kind][0]
    if ask.codex and fault.kind is ErrorKind.QUOTA:
        return ErrorAnswer(status, dump({"error": details(ask, fault)}), _codex_headers(ask, fault))
    headers: tuple[tuple[str, str], ...] = ()
    if fault.wait is not None and fault.kind is not ErrorKind.BARE_429:
        headers = (("retry-after", seconds_text(fault.wait)),)
    return ErrorAnswer(status, dump({"error": details(ask, fault)}), headers)


def details(ask: Ask, fault: Fault) -> dict[str, Any]:
    """What stands under `error`."""
    if ask.codex and fault.kind is ErrorKind.QUOTA:
        wait = int(fault.wait or CODEX_QUOTA_WAIT)
        return {
            "type": "usage_limit_reached",
            "message": fault.message or "The usage limit has been reached",
            "plan_type": "plus",
            "resets_at": int(ask.now) + wait,
            "resets_in_seconds": wait,
        }
    _, kind, code, text = _ERRORS[fault.kind]
    message = fault.message if fault.message is not None else text.format(model=ask.model)
    if fault.kind is ErrorKind.RATE_LIMIT and fault.wait is not None and fault.message is None:
        message += f" Please try again in {seconds_text(fault.wait)}s."
    return {"message": message, "type": kind, "param": None, "code": code}


def headers(ask: Ask) -> tuple[tuple[str, str], ...]:
    return (
        ("x-request-id", f"req_fake{ask.number:08d}"),
        ("openai-organization", f"org-{ask.label}"),
        ("openai-processing-ms", "5"),
        ("openai-version", "2020-10-01"),
    )


def models() -> bytes:
    model = {"id": "fake-model", "object": "model", "created": 1767225600, "owned_by": "fake"}
    return dump({"object": "list", "data": [model]})


def _codex_headers(ask: Ask, fault: Fault) -> tuple[tuple[str, str], ...]:
    wait = int(fault.wait or CODEX_QUOTA_WAIT)
    return (
        ("x-codex-active-limit", "codex"),
        ("x-codex-plan-type", "plus"),
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-at", str(int(ask.now) + wait)),
        ("x-codex-primary-reset-after-seconds", str(wait)),
        ("x-codex-secondary-used-percent", "40"),
        ("x-codex-secondary-window-minutes", "10080"),
        ("x-codex-secondary-reset-at", str(int(ask.now) + wait + 5 * 86400)),
        ("x-codex-secondary-reset-after-seconds", str(wait + 5 * 86400)),
    )
