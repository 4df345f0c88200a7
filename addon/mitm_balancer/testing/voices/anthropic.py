"""Anthropic Messages: answers, stream and errors (wire-facts 1.3 to 1.5)."""

from __future__ import annotations

from typing import Any

from mitm_balancer.testing.ask import Ask
from mitm_balancer.testing.voices.base import (
    INPUT_TOKENS,
    ErrorAnswer,
    ErrorKind,
    Fault,
    Frames,
    dump,
    named_frame,
    seconds_text,
)

QUOTA_WAIT = 5 * 3600.0
"""The subscription's short window, in seconds."""

_ERRORS: dict[ErrorKind, tuple[int, str, str]] = {
    ErrorKind.RATE_LIMIT: (429, "rate_limit_error", "This request would exceed your account's rate limit."),
    ErrorKind.BARE_429: (429, "rate_limit_error", "Error"),
    ErrorKind.QUOTA: (429, "rate_limit_error", "This request would exceed your account's rate limit."),
    ErrorKind.PAYMENT: (402, "billing_error", "Your credit balance is too low to access the Anthropic API."),
    ErrorKind.AUTH: (401, "authentication_error", "invalid x-api-key"),
    ErrorKind.PERMISSION: (
        403,
        "permission_error",
        "OAuth authentication is currently not allowed for this organization.",
    ),
    ErrorKind.REGION: (403, "forbidden", "Request not allowed"),
    ErrorKind.MODEL: (404, "not_found_error", "model: {model}"),
    ErrorKind.INVALID: (400, "invalid_request_error", "messages: at least one message is required"),
    ErrorKind.CONTEXT: (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    ErrorKind.POLICY: (400, "invalid_request_error", "Output blocked by content filtering policy"),
    ErrorKind.TOO_LARGE: (413, "request_too_large", "Request exceeds the maximum size"),
    ErrorKind.SERVER: (500, "api_error", "Internal server error"),
    ErrorKind.BAD_GATEWAY: (502, "api_error", "Bad gateway"),
    ErrorKind.UNAVAILABLE: (503, "api_error", "Service unavailable"),
    ErrorKind.GATEWAY_TIMEOUT: (504, "timeout_error", "Request timed out"),
    ErrorKind.OVERLOADED: (529, "overloaded_error", "Overloaded"),
}


class AnthropicVoice:
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    malformed = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"ty\n\n'

    def frames(self, ask: Ask, texts: tuple[str, ...]) -> Frames:
        opening = self._message(ask, [], None, 1)
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        return Frames(
            start=(named_frame({"type": "message_start", "message": opening}), named_frame(block), self.ping),
            content=tuple(
                named_frame({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
                for text in texts
            ),
            end=(
                named_frame({"type": "content_block_stop", "index": 0}),
                named_frame({"type": "message_delta", "delta": stop, "usage": {"output_tokens": len(texts)}}),
                named_frame({"type": "message_stop"}),
            ),
        )

    def body(self, ask: Ask, text: str) -> bytes:
        return dump(self._message(ask, [{"type": "text", "text": text}], "end_turn", len(text.split())))

    def count(self) -> bytes:
        return dump({"input_tokens": INPUT_TOKENS})

    def models(self) -> bytes:
        model = {"type": "model", "id": "fake-model", "display_name": "Fake", "created_at": "2026-01-01T00:00:00Z"}
        return dump({"data": [model], "has_more": False, "first_id": "fake-model", "last_id": "fake-model"})

    def error(self, ask: Ask, fault: Fault) -> ErrorAnswer:
        headers: tuple[tuple[str, str], ...] = ()
        match fault.kind:
            case ErrorKind.BARE_429:
                headers = (("x-should-retry", "true"),)
            case ErrorKind.QUOTA:
                headers = _unified_rejected(ask.now + (fault.wait or QUOTA_WAIT))
            case _ if fault.wait is not None:
                headers = (("retry-after", seconds_text(fault.wait)),)
        return ErrorAnswer(_ERRORS[fault.kind][0], dump(self._envelope(ask, fault)), headers)

    def error_frame(self, ask: Ask, fault: Fault) -> bytes:
        return named_frame(self._envelope(ask, fault))

    def headers(self, ask: Ask) -> tuple[tuple[str, str], ...]:
        return (("request-id", _request_id(ask)), ("anthropic-organization-id", f"org-{ask.label}"))

    def _envelope(self, ask: Ask, fault: Fault) -> dict[str, Any]:
        _, kind, text = _ERRORS[fault.kind]
        message = fault.message if fault.message is not None else text.format(model=ask.model)
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": _request_id(ask)}

    def _message(self, ask: Ask, content: list[Any], stop: str | None, output_tokens: int) -> dict[str, Any]:
        usage = {
            "input_tokens": INPUT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        }
        return {
            "id": f"msg_fake{ask.number:08d}",
            "type": "message",
            "role": "assistant",
            "model": ask.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": usage,
        }


def _request_id(ask: Ask) -> str:
    return f"req_fake{ask.number:08d}"


def _unified_rejected(reset: float) -> tuple[tuple[str, str], ...]:
    """The subscription's headers when its five-hour window is used up; resets are unix seconds."""
    prefix, stamp = "anthropic-ratelimit-unified-", str(int(reset))
    return (
        (prefix + "status", "rejected"),
        (prefix + "reset", stamp),
        (prefix + "representative-claim", "five_hour"),
        (prefix + "5h-status", "rejected"),
        (prefix + "5h-utilization", "1.01"),
        (prefix + "5h-reset", stamp),
        (prefix + "7d-status", "allowed"),
        (prefix + "7d-utilization", "0.4"),
        (prefix + "7d-reset", str(int(reset) + 5 * 86400)),
    )
