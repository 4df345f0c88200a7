"""Errors that we make, in the provider's own JSON shape: agents parse them (P11)."""

from __future__ import annotations

import json
import math

from mitm_balancer.providers.model import Dialect

_GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_body(dialect: Dialect, status: int, code: str, message: str, wait: float | None = None) -> bytes:
    """The JSON body for an error of this status. `code` is Anthropic's `error.type` or OpenAI's `error.code`.

    `wait`: seconds until it makes sense to come back. Gemini's clients read it from the body alone.

    Shapes: wire-facts 1.4 (Anthropic), 2.4 (OpenAI), 5.4 (Google).
    """
    shape: dict[str, object]
    match dialect:
        case Dialect.ANTHROPIC_MESSAGES:
            shape = {"type": "error", "error": {"type": code, "message": message}}
        case Dialect.GEMINI:
            name = _GOOGLE_STATUS.get(status, "UNKNOWN")
            error: dict[str, object] = {"code": status, "message": message, "status": name}
            if wait is not None:
                info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{math.ceil(wait)}s"}
                error["details"] = [info]
            shape = {"error": error}
        case Dialect.OPENAI_CHAT | Dialect.OPENAI_RESPONSES:
            kind = code if status == 429 else "server_error"
            shape = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return json.dumps(shape).encode()
