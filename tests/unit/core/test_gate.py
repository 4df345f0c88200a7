"""The gate: what commits, what fails, what is nothing; whatever the chunks and the coding."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from streams import (
    ANTHROPIC,
    BLOCK_STOP,
    CHAT,
    COMPLETED,
    CREATED,
    GEMINI,
    ITEM_ADDED,
    MESSAGE_DELTA,
    MESSAGE_START,
    MESSAGE_STOP,
    PING,
    RESPONSES,
    TEXT_DELTA,
    TEXT_START,
    TOOL_START,
    USAGE_CHUNK,
    WHOLE,
    chunk,
    cut,
    delta,
    dump,
    frame,
    named,
    plain,
    response,
)

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.gate import MAX_HELD, Gate, GateState

HOLD, COMMIT, FAILED, EMPTY = GateState.HOLD, GateState.COMMIT, GateState.FAILED, GateState.ENDED_EMPTY
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
FAILED_RESPONSE = {"type": "response.failed", "response": response(status="failed", error={"code": "server_error"})}
GOOGLE_ERROR = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}

TABLE: list[tuple[str, Dialect, bytes, GateState]] = [
    ("message_start", ANTHROPIC, named(MESSAGE_START), HOLD),
    ("pings", ANTHROPIC, named(MESSAGE_START, PING, PING), HOLD),
    ("empty text block", ANTHROPIC, named(MESSAGE_START, TEXT_START, BLOCK_STOP), HOLD),
    ("empty delta", ANTHROPIC, named(TEXT_START, delta("")), HOLD),
    ("text", ANTHROPIC, named(MESSAGE_START, TEXT_START, delta("H")), COMMIT),
    ("tool start", ANTHROPIC, named(MESSAGE_START, TOOL_START), COMMIT),
    ("thinking", ANTHROPIC, named({"type": "content_block_delta", "delta": {"thinking": "h"}}), COMMIT),
    (
        "redacted",
        ANTHROPIC,
        named({"type": "content_block_start", "content_block": {"type": "redacted_thinking"}}),
        COMMIT,
    ),
    ("an answer without content", ANTHROPIC, named(MESSAGE_START, MESSAGE_DELTA, MESSAGE_STOP), COMMIT),
    ("a new kind of event", ANTHROPIC, named({"type": "brand_new"}), COMMIT),
    ("error first", ANTHROPIC, named(OVERLOADED), FAILED),
    ("error after start", ANTHROPIC, named(MESSAGE_START, PING, TEXT_START, OVERLOADED), FAILED),
    ("error without JSON", ANTHROPIC, b"event: error\ndata: oops\n\n", FAILED),
    ("malformed", ANTHROPIC, b'event: message_start\ndata: {"type":"mess\n\n', FAILED),
    ("comments", CHAT, b": OPENROUTER PROCESSING\n\n: keep-alive\n\n", HOLD),
    ("filter results", CHAT, plain({"choices": [], "prompt_filter_results": []}), HOLD),
    ("role only", CHAT, plain(chunk(role="assistant", content="")), HOLD),
    ("role and null", CHAT, plain(chunk(role="assistant", content=None, refusal=None)), HOLD),
    ("only the end marker", CHAT, plain(b"[DONE]"), HOLD),
    ("content", CHAT, plain(chunk(role="assistant"), chunk(content="H")), COMMIT),
    ("reasoning", CHAT, plain(chunk(reasoning_content="H")), COMMIT),
    ("tool call", CHAT, plain(chunk(tool_calls=[{"index": 0, "id": "t"}])), COMMIT),
    ("finish", CHAT, plain(chunk("stop")), COMMIT),
    ("usage", CHAT, plain(USAGE_CHUNK), COMMIT),
    ("legacy completion", CHAT, plain({"choices": [{"text": "H"}]}), COMMIT),
    ("error", CHAT, plain({"error": {"message": "x", "code": 429}}), FAILED),
    ("error after role", CHAT, plain(chunk(role="assistant"), {"error": {"code": 502}, "choices": [{}]}), FAILED),
    ("flat xAI error", CHAT, plain({"code": "x", "error": "text"}), FAILED),
    ("flat Mistral error", CHAT, plain({"object": "error", "message": "x"}), FAILED),
    (
        "flat Cerebras error",
        CHAT,
        plain({"message": "x", "type": "too_many_tokens_error", "code": "queue_exceeded"}),
        FAILED,
    ),
    ("FastAPI error", CHAT, plain({"detail": "Unauthorized"}), FAILED),
    ("MiniMax error", CHAT, plain({"base_resp": {"status_code": 1008, "status_msg": "x"}}), FAILED),
    ("MiniMax content", CHAT, plain(chunk(content="H") | {"base_resp": {"status_code": 0}}), COMMIT),
    ("created", RESPONSES, named(CREATED, {"type": "response.in_progress"}, {"type": "response.queued"}), HOLD),
    ("codex frames", RESPONSES, named({"type": "codex.rate_limits", "rate_limits": {}}), HOLD),
    ("empty message item", RESPONSES, named(CREATED, ITEM_ADDED), HOLD),
    ("empty part", RESPONSES, named({"type": "response.content_part.added", "part": {"text": ""}}), HOLD),
    (
        "function item",
        RESPONSES,
        named({"type": "response.output_item.added", "item": {"type": "function_call"}}),
        COMMIT,
    ),
    ("delta", RESPONSES, named(CREATED, ITEM_ADDED, TEXT_DELTA), COMMIT),
    ("completed without output", RESPONSES, named(CREATED, COMPLETED), COMMIT),
    ("failed", RESPONSES, named(CREATED, FAILED_RESPONSE), FAILED),
    ("error event", RESPONSES, named({"type": "error", "code": "x", "message": "y"}), FAILED),
    ("usage only", GEMINI, plain({"usageMetadata": {}, "modelVersion": "g"}), HOLD),
    ("empty parts", GEMINI, plain({"candidates": [{"content": {"parts": [{"text": ""}]}}]}), HOLD),
    ("text part", GEMINI, plain(frame("H")), COMMIT),
    (
        "function call",
        GEMINI,
        plain({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}),
        COMMIT,
    ),
    ("finish only", GEMINI, plain({"candidates": [{"finishReason": "SAFETY"}]}), COMMIT),
    ("blocked prompt", GEMINI, plain({"promptFeedback": {"blockReason": "SAFETY"}}), COMMIT),
    ("wrapped noise", GEMINI, plain({"response": {"usageMetadata": {}}, "traceId": "t"}), HOLD),
    ("wrapped text", GEMINI, plain({"response": frame("H")}), COMMIT),
    ("error frame", GEMINI, plain(GOOGLE_ERROR), FAILED),
    ("interaction error", GEMINI, plain({"event_type": "error", "error": {"code": "x"}}), FAILED),
    ("interaction start", GEMINI, plain({"event_type": "interaction.start"}), HOLD),
    ("interaction delta", GEMINI, plain({"event_type": "content.delta", "delta": {"text": "H"}}), COMMIT),
]


@pytest.mark.parametrize(("dialect", "stream", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_state(dialect: Dialect, stream: bytes, expected: GateState) -> None:
    """What each beginning comes to; what only holds is an empty answer when the stream ends there."""
    gate = Gate(dialect)
    assert gate.feed(stream) is expected
    assert gate.eof() is (EMPTY if expected is HOLD else expected)
    assert bool(gate.error) == (expected is FAILED)
    assert gate.feed(plain(chunk(content="late"))) is gate.state


@given(st.data(), st.sampled_from([(row[1], row[2]) for row in TABLE] + list(WHOLE.items())))
def test_any_chunking_decides_the_same(data: st.DataObject, case: tuple[Dialect, bytes]) -> None:
    dialect, stream = case
    whole, gate = Gate(dialect), Gate(dialect)
    whole.feed(stream)
    for part in data.draw(cut(stream)):
        gate.feed(part)
    assert (gate.eof(), gate.error) == (whole.eof(), whole.error)


def test_the_last_event_counts_without_its_blank_line() -> None:
    gate = Gate(ANTHROPIC)
    assert gate.feed(named(MESSAGE_START, OVERLOADED).rstrip()) is HOLD
    assert gate.eof() is FAILED and gate.error == dump(OVERLOADED)
    gate = Gate(CHAT)
    assert gate.feed(plain(chunk(content="H")).rstrip()) is HOLD
    assert gate.eof() is COMMIT


def test_an_event_too_long_to_be_read_is_output() -> None:
    gate = Gate(CHAT, limit=1 << 30)
    assert gate.feed(b'data: {"choices":[], "x": "' + b"x" * (2 << 20) + b'"}\n\n') is COMMIT


@pytest.mark.parametrize("dialect", list(Dialect))
def test_json_that_nests_too_deeply_is_malformed(dialect: Dialect) -> None:
    assert Gate(dialect).feed(b"data: " + b"[" * 60_000 + b"\n\n") is FAILED


@given(st.sampled_from(Dialect), st.binary(max_size=120), st.sampled_from(["", "gzip", "br", "zstd", "text/json"]))
def test_total(dialect: Dialect, data: bytes, kind: str) -> None:
    gate = Gate(dialect, content_type=kind, content_encoding=kind)
    gate.feed(b"data: " + data + b"\n\n")
    assert gate.eof() is not HOLD


def test_the_byte_bound_commits() -> None:
    gate = Gate(ANTHROPIC)
    ping = named(PING)
    for _ in range((MAX_HELD - 1) // len(ping)):
        assert gate.feed(ping) is HOLD
    assert gate.feed(ping) is COMMIT
    assert gate.held <= MAX_HELD + len(ping)


def test_an_error_in_the_chunk_that_reaches_the_bound_still_fails() -> None:
    gate = Gate(ANTHROPIC, limit=10)
    assert gate.feed(named(OVERLOADED)) is FAILED
    assert gate.error == dump(OVERLOADED)


ENCODERS: list[tuple[str, Any]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("br", brotli.compress),
    ("zstd", zstandard.compress),
]


@pytest.mark.parametrize(("encoding", "encode"), ENCODERS)
@given(data=st.data())
def test_encoded_streams_are_read(encoding: str, encode: Any, data: st.DataObject) -> None:
    gate = Gate(ANTHROPIC, content_encoding=encoding)
    for part in data.draw(cut(encode(named(MESSAGE_START, PING, OVERLOADED)))):
        gate.feed(part)
    assert gate.state is FAILED and gate.error == dump(OVERLOADED)


def test_what_cannot_be_read_commits_at_once() -> None:
    assert Gate(CHAT, content_encoding="unheard-of").feed(b"x") is COMMIT
    assert Gate(CHAT, content_encoding="gzip").feed(b"this is no gzip") is COMMIT


def test_json_framing() -> None:
    """A Gemini stream without alt=sse, and a JSON body where a stream was asked for."""
    gate = Gate(GEMINI, content_type="application/json")
    assert gate.feed(b'[{"usageMetadata": {}}\n,\n') is HOLD
    assert gate.feed(dump(frame("H"))) is COMMIT
    gate = Gate(GEMINI, content_type="application/json")
    assert gate.feed(b"[" + dump(GOOGLE_ERROR) + b"]") is FAILED
    body = {"id": "x", "object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": "H"}}]}
    assert Gate(CHAT, content_type="application/json").feed(dump(body)) is COMMIT
    assert Gate(CHAT, content_type="application/json").feed(dump({"error": {"code": 429}})) is FAILED


def test_an_html_page_is_no_answer() -> None:
    gate = Gate(CHAT, content_type="text/html")
    assert gate.feed(b"<html><body>Welcome to the hotel</body></html>\n\n") is HOLD
    assert gate.eof() is EMPTY
