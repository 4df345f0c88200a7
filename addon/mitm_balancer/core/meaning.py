"""What one stream event means before anything was committed: noise, output, or an error (wire-facts X10, x.5, 23).

Noise is what a client does not act on: pings, comments, announcements, empty deltas. It is listed; what is not known is
output, so that a new kind of event is passed on at once instead of being taken for silence.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from typing import Any

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.sse import Event


class Meaning(enum.Enum):
    """For the commit point."""

    NOISE = enum.auto()
    OUTPUT = enum.auto()
    """Carries output, an id that the client acts on, or the proper end of an answer."""
    ERROR = enum.auto()


_BAD = object()


def meaning(dialect: Dialect, event: Event) -> Meaning:
    """What the event means in a stream of that dialect. Total."""
    text = event.data.strip()
    if event.truncated:
        return Meaning.OUTPUT
    if event.comment is not None or not text or text == b"[DONE]":
        return Meaning.NOISE  # an end marker without an answer before it is an empty answer
    value = _load(text)
    if event.name == "error" or value is _BAD:
        return Meaning.ERROR  # of malformed JSON every client makes an exception
    if not isinstance(value, dict):
        return Meaning.NOISE
    if says_error(value):
        return Meaning.ERROR
    return Meaning.NOISE if _NOISE[dialect](value) else Meaning.OUTPUT


def says_error(value: dict[str, Any]) -> bool:
    """Whether a JSON object of any dialect says that the request failed (wire-facts 16.2)."""
    if value.get("error") or value.get("type") in ("error", "response.failed") or value.get("object") == "error":
        return True
    response = value.get("response")
    if isinstance(response, dict) and response.get("error"):
        return True
    base = value.get("base_resp")
    if isinstance(base, dict) and base.get("status_code") not in (0, "0", None):
        return True
    flat = "message" in value and ("code" in value or value.get("type") == "too_many_requests_error")
    return (flat or "detail" in value) and not value.keys() & {"choices", "object", "candidates", "content"}


def _load(text: bytes) -> Any:
    """The JSON value; `_BAD` for what begins like an object and is none; None for other text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _BAD if text.startswith((b"{", b"[")) else None


def _anthropic_noise(value: dict[str, Any]) -> bool:
    """`message_start` and pings; the start of a block without content (a tool's start has its id and name)."""
    match value.get("type"):
        case "ping" | "message_start" | "content_block_stop":
            return True
        case "content_block_start":
            block = value.get("content_block")
            return isinstance(block, dict) and _empty_block(block)
        case "content_block_delta":
            delta = value.get("delta")
            return isinstance(delta, dict) and not any(item for key, item in delta.items() if key != "type")
    return False


def _empty_block(block: dict[str, Any]) -> bool:
    return block.get("type") in ("text", "thinking") and not (block.get("text") or block.get("thinking"))


def _chat_noise(value: dict[str, Any]) -> bool:
    """Chunks without choices (prompt filter results), role-only and empty deltas."""
    if "choices" not in value:
        return False
    choices = value["choices"]
    if not choices or not isinstance(choices, list):
        return not value.get("usage")
    return not any(isinstance(choice, dict) and _chat_says(choice) for choice in choices)


def _chat_says(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    said = isinstance(delta, dict) and any(item for key, item in delta.items() if key != "role")
    return bool(said or choice.get("finish_reason") or choice.get("message") or choice.get("text"))


_RESPONSE_NOISE = frozenset(
    {
        "response.created", "response.in_progress", "response.queued", "response.metadata", "keepalive", "ping",
        "response.output_text.annotation.added",
    }
)  # fmt: skip
_PART_STARTS = frozenset({"response.content_part.added", "response.reasoning_summary_part.added"})


def _responses_noise(value: dict[str, Any]) -> bool:
    """Announcements, `codex.*` frames, and items, parts and deltas that are still empty."""
    kind = str(value.get("type", ""))
    if kind in _RESPONSE_NOISE or kind.startswith("codex."):
        return True
    if kind == "response.output_item.added":
        item = value.get("item")
        return isinstance(item, dict) and item.get("type") in ("message", "reasoning") and not _filled(item)
    if kind in _PART_STARTS:
        part = value.get("part")
        return isinstance(part, dict) and not part.get("text")
    return kind.endswith(".delta") and not value.get("delta")


def _filled(item: dict[str, Any]) -> bool:
    return any(item.get(key) for key in ("content", "summary", "encrypted_content"))


_INTERACTION_NOISE = frozenset(
    {"interaction.start", "interaction.created", "interaction.status_update", "content.start"}
)


def _gemini_noise(value: dict[str, Any]) -> bool:
    """Frames with neither parts nor a finish reason; Code Assist wraps them in `response`."""
    inner = value.get("response")
    frame = inner if isinstance(inner, dict) else value
    if "event_type" in frame:
        return frame["event_type"] in _INTERACTION_NOISE
    feedback = frame.get("promptFeedback")
    if isinstance(feedback, dict) and feedback.get("blockReason"):
        return False
    candidates = frame.get("candidates")
    if not isinstance(candidates, list):
        return "usageMetadata" in frame or "responseId" in frame or not frame
    return not any(isinstance(candidate, dict) and _gemini_says(candidate) for candidate in candidates)


def _gemini_says(candidate: dict[str, Any]) -> bool:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    filled = isinstance(parts, list) and any(isinstance(part, dict) and any(part.values()) for part in parts)
    return bool(filled or candidate.get("finishReason"))


_NOISE: dict[Dialect, Callable[[dict[str, Any]], bool]] = {
    Dialect.ANTHROPIC_MESSAGES: _anthropic_noise,
    Dialect.OPENAI_CHAT: _chat_noise,
    Dialect.OPENAI_RESPONSES: _responses_noise,
    Dialect.GEMINI: _gemini_noise,
}
