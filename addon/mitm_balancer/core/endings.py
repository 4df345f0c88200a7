"""How a committed stream that broke is ended: the dialect's own error event, never something that looks like success.

After these bytes the body ends properly (last chunk, END_STREAM). An end marker such as `[DONE]` is left out on
purpose: clients that skip unknown events would take it for a finished answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from mitm_balancer.core.dialect import Dialect

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment that every SSE client skips; before it, a 200 must have been sent."""


def error_event(
    dialect: Dialect, message: str, code: str = "", *, mid_event: bool = False, json_array: bool = False
) -> bytes:
    """The bytes to append to a stream of that dialect.

    `code` is the dialect's own word (`api_error`, `server_error`, ...; Gemini's is a status name); empty: its word for
    "try again". `mid_event`: the stream stopped inside an event, which is ended first. `json_array`: a Gemini stream
    without `alt=sse`, cut between two elements.
    """
    match dialect:
        case Dialect.ANTHROPIC_MESSAGES:
            body = {"type": "error", "error": {"type": code or "api_error", "message": message}}
            event = _frame(body, "error")
        case Dialect.OPENAI_CHAT:
            kind = code or "server_error"
            event = _frame({"error": {"message": message, "type": kind, "param": None, "code": kind}})
        case Dialect.OPENAI_RESPONSES:
            event = _frame(_failed_response(message, code or "server_error"), "response.failed")
        case Dialect.GEMINI:
            error = {"error": {"code": 503, "message": message, "status": code or "UNAVAILABLE"}}
            if json_array:
                return b"," + json.dumps(error).encode() + b"]"
            event = _frame(error)
    return b"\n\n" + event if mid_event else event


def _failed_response(message: str, code: str) -> dict[str, object]:
    """The terminal event of the Responses API; the fields that its SDKs require of a Response are there."""
    response = {
        "id": "resp_interrupted", "object": "response", "created_at": 0, "status": "failed", "model": "", "output": [],
        "error": {"code": code, "message": message}, "incomplete_details": None, "instructions": None, "metadata": {},
        "parallel_tool_calls": False, "temperature": None, "tool_choice": "auto", "tools": [], "top_p": None,
        "usage": None,
    }  # fmt: skip
    return {"type": "response.failed", "sequence_number": 0, "response": response}


def _frame(body: Mapping[str, object], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(body)}\n\n".encode()
