"""Where a turn of the user begins, in the four dialects."""

from __future__ import annotations

import json

import pytest

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.proxy.turns import begins

A, C, R, G = Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.GEMINI
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
TEXT = {"type": "text", "text": "hi"}


@pytest.mark.parametrize(
    ("dialect", "body", "expected"),
    [
        (A, {"messages": [{"role": "user", "content": "hi"}]}, True),
        (A, {"messages": [{"role": "user", "content": [TEXT]}]}, True),
        (A, {"messages": [{"role": "user", "content": [RESULT, TEXT]}]}, False),
        (A, {"messages": [{"role": "user", "content": [RESULT]}, {"role": "user", "content": [TEXT]}]}, True),
        (C, {"messages": [{"role": "user", "content": "hi"}]}, True),
        (C, {"messages": [{"role": "tool", "tool_call_id": "t", "content": "x"}]}, False),
        (C, {"messages": [{"role": "function", "name": "f", "content": "x"}]}, False),
        (R, {"input": "hi"}, True),
        (R, {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}, True),
        (R, {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, False),
        (R, {"input": [{"type": "custom_tool_call_output", "call_id": "c", "output": "x"}]}, False),
        (G, {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, True),
        (G, {"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f"}}]}]}, False),
        (G, {"contents": [{"role": "user", "parts": [{"function_response": {"name": "f"}}]}]}, False),
        (A, {"messages": []}, True),
        (A, {"messages": [7]}, True),
        (A, {"messages": {"a": 1}}, True),
        (A, [], True),
    ],
)
def test_turns(dialect: Dialect, body: object, expected: bool) -> None:
    assert begins(json.dumps(body).encode(), dialect) is expected


@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b'{"messages": [' + b"[" * 20_000])
def test_anything_else_begins_one(content: bytes) -> None:
    assert begins(content, A)
