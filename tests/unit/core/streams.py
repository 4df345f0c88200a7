"""Sample streams of the four dialects, as the providers write them (wire-facts x.5), for the tests of the core."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from mitm_balancer.core.dialect import Dialect

ANTHROPIC, CHAT, RESPONSES, GEMINI = (
    Dialect.ANTHROPIC_MESSAGES,
    Dialect.OPENAI_CHAT,
    Dialect.OPENAI_RESPONSES,
    Dialect.GEMINI,
)


def named(*values: dict[str, Any]) -> bytes:
    """Frames with both `event:` and `data:`."""
    return b"".join(b"event: " + str(v["type"]).encode() + b"\ndata: " + dump(v) + b"\n\n" for v in values)


def plain(*values: Any) -> bytes:
    return b"".join(b"data: " + (v if isinstance(v, bytes) else dump(v)) + b"\n\n" for v in values)


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def delta(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def chunk(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "choices": [choice], "usage": None}


def frame(text: str, finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 9}}


def response(**fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "error": None, "output": [], "usage": None} | fields


MESSAGE_START = {"type": "message_start", "message": {"id": "m", "type": "message", "content": [], "role": "assistant",
    "usage": {"input_tokens": 25, "cache_read_input_tokens": 7, "output_tokens": 1}}}  # fmt: skip
TEXT_START = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
TOOL_START = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "n",
    "input": {}}}  # fmt: skip
BLOCK_STOP = {"type": "content_block_stop", "index": 0}
MESSAGE_DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}}
MESSAGE_STOP = {"type": "message_stop"}
PING = {"type": "ping"}
CREATED = {"type": "response.created", "sequence_number": 0, "response": response(status="in_progress")}
COMPLETED = {"type": "response.completed", "sequence_number": 9, "response": response(status="completed", usage={
    "input_tokens": 5, "output_tokens": 6, "total_tokens": 11})}  # fmt: skip
ITEM_ADDED = {"type": "response.output_item.added", "item": {"type": "message", "id": "i", "content": []}}
TEXT_DELTA = {"type": "response.output_text.delta", "delta": "Hi"}
USAGE_CHUNK = {"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}

WHOLE: dict[Dialect, bytes] = {
    ANTHROPIC: named(MESSAGE_START, PING, TEXT_START, delta("Hi"), delta(' "usage":{ '), BLOCK_STOP, MESSAGE_DELTA,
        MESSAGE_STOP),
    CHAT: b": OPENROUTER PROCESSING\n\n" + plain(chunk(role="assistant", content=""), chunk(content="Hi"),
        chunk("stop"), USAGE_CHUNK, b"[DONE]"),
    RESPONSES: named(CREATED, ITEM_ADDED, TEXT_DELTA, COMPLETED),
    GEMINI: plain({"usageMetadata": {"promptTokenCount": 7}}, frame("Hi"), frame("", "STOP")),
}  # fmt: skip
"""A complete answer of each dialect, with what a careless reader would trip over."""


def halves(data: bytes) -> list[list[bytes]]:
    """The bytes cut in two at every place, and into single bytes."""
    return [*([data[:at], data[at:]] for at in range(len(data) + 1)), [data[at : at + 1] for at in range(len(data))]]


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The bytes in chunks, cut anywhere; empty chunks occur too."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
