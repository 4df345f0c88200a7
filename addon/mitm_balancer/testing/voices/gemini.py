"""Gemini generateContent: answers, stream and errors (wire-facts 5.3 to 5.5)."""

from __future__ import annotations

from typing import Any

from mitm_balancer.testing.ask import Ask
from mitm_balancer.testing.voices.base import (
    INPUT_TOKENS,
    ErrorAnswer,
    ErrorKind,
    Fault,
    Frames,
    data_frame,
    dump,
    seconds_text,
)

_ERRORS: dict[ErrorKind, tuple[int, str, str]] = {
    ErrorKind.RATE_LIMIT: (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    ErrorKind.BARE_429: (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    ErrorKind.QUOTA: (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    ErrorKind.PAYMENT: (402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
    ErrorKind.AUTH: (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    ErrorKind.PERMISSION: (403, "PERMISSION_DENIED", "The caller does not have permission"),
    ErrorKind.REGION: (400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
    ErrorKind.MODEL: (404, "NOT_FOUND", "models/{model} is not found for API version v1beta"),
    ErrorKind.INVALID: (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    ErrorKind.CONTEXT: (400, "INVALID_ARGUMENT", "The input token count exceeds the maximum number of tokens allowed"),
    ErrorKind.POLICY: (400, "INVALID_ARGUMENT", "The request was blocked by policy."),
    ErrorKind.TOO_LARGE: (413, "INVALID_ARGUMENT", "Request payload size exceeds the limit."),
    ErrorKind.SERVER: (500, "INTERNAL", "An internal error has occurred."),
    ErrorKind.BAD_GATEWAY: (502, "UNAVAILABLE", "Bad gateway"),
    ErrorKind.UNAVAILABLE: (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    ErrorKind.GATEWAY_TIMEOUT: (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    ErrorKind.OVERLOADED: (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
}
_TYPE = "type.googleapis.com/google.rpc."
_METRIC = "generativelanguage.googleapis.com/generate_content_free_tier_requests"


class GeminiVoice:
    ping = b": keep-alive\n\n"
    malformed = b'data: {"candidates":[{"content":{"parts":[{"te\n\n'

    def frames(self, ask: Ask, texts: tuple[str, ...]) -> Frames:
        """All is content: the first frame has text, and the last one differs by its finishReason only."""
        chunks = [self._response(ask, text, None, number) for number, text in enumerate(texts, 1)]
        chunks.append(self._response(ask, "", "STOP", len(texts)))
        if not ask.json_array:
            framed = [data_frame(chunk) for chunk in chunks]
            return Frames((), tuple(framed[:-1]), (framed[-1],))
        lines = [(b"[" if number == 0 else b",\r\n") + dump(chunk) for number, chunk in enumerate(chunks)]
        return Frames((), tuple(lines[:-1]), (lines[-1] + b"]",))

    def body(self, ask: Ask, text: str) -> bytes:
        return dump(self._response(ask, text, "STOP", len(text.split())))

    def count(self) -> bytes:
        return dump({"totalTokens": INPUT_TOKENS})

    def models(self) -> bytes:
        return dump({"models": [{"name": "models/fake-model", "displayName": "Fake", "version": "1"}]})

    def error(self, ask: Ask, fault: Fault) -> ErrorAnswer:
        status = _ERRORS[fault.kind][0]
        envelope = self._envelope(ask, fault)
        array = ask.stream and ask.json_array
        return ErrorAnswer(status, dump([envelope] if array else envelope))

    def error_frame(self, ask: Ask, fault: Fault) -> bytes:
        return data_frame(self._envelope(ask, fault))

    def headers(self, ask: Ask) -> tuple[tuple[str, str], ...]:  # noqa: ARG002 - Gemini names neither
        return (("server", "scaffolding on HTTPServer2"), ("x-xss-protection", "0"))

    def _envelope(self, ask: Ask, fault: Fault) -> dict[str, Any]:
        code, status, text = _ERRORS[fault.kind]
        message = fault.message if fault.message is not None else text.format(model=ask.model)
        error: dict[str, Any] = {"code": code, "message": message, "status": status}
        if details := _details(ask, fault):
            error["details"] = details
        return {"error": error}

    def _response(self, ask: Ask, text: str, finish: str | None, output_tokens: int) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {
            "promptTokenCount": INPUT_TOKENS,
            "candidatesTokenCount": output_tokens,
            "totalTokenCount": INPUT_TOKENS + output_tokens,
        }
        return {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": ask.model,
            "responseId": f"fake{ask.number:08d}",
        }


def _details(ask: Ask, fault: Fault) -> list[dict[str, Any]]:
    """Gemini states its limits here and nowhere else: there are no rate-limit headers."""
    match fault.kind:
        case ErrorKind.AUTH:
            info = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
            return [{"@type": _TYPE + "ErrorInfo", **info}]
        case ErrorKind.RATE_LIMIT:
            window = "PerMinute"
        case ErrorKind.QUOTA:
            window = "PerDay"
        case _:
            return []
    violation = {
        "quotaMetric": _METRIC,
        "quotaId": f"GenerateRequests{window}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": ask.model},
        "quotaValue": "50",
    }
    details: list[dict[str, Any]] = [{"@type": _TYPE + "QuotaFailure", "violations": [violation]}]
    if fault.wait is not None:
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{seconds_text(fault.wait)}s"})
    return details
