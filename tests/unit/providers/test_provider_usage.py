"""Tokens: each field of wire-facts 23, cumulative, alike for all dialects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.tail import Tail
from mitm_balancer.providers.limits import Window, frame_windows
from mitm_balancer.providers.usage import Usage, usage_of

MESSAGES, CHAT, RESPONSES, GEMINI = (
    Dialect.ANTHROPIC_MESSAGES,
    Dialect.OPENAI_CHAT,
    Dialect.OPENAI_RESPONSES,
    Dialect.GEMINI,
)


def one(dialect: Dialect, event: dict[str, Any]) -> Usage | None:
    """A body, or the only event with numbers: Tail then keeps it as first and last."""
    data = json.dumps(event).encode()
    return usage_of(dialect, data, data)


CASES = [
    (
        "anthropic body",
        MESSAGES,
        {
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 20,
                "cache_creation_input_tokens": 30,
                "output_tokens": 4,
            }
        },
        Usage(60, 4, 20, 30),
    ),
    (
        "anthropic start",
        MESSAGES,
        {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}},
        Usage(3, 1),
    ),
    (
        "compaction and advisor are left out above",
        MESSAGES,
        {
            "usage": {
                "input_tokens": 1,
                "output_tokens": 2,
                "iterations": [
                    {"type": "message", "input_tokens": 1, "output_tokens": 2},
                    {"type": "compaction", "input_tokens": 100, "output_tokens": 10},
                    {"type": "advisor_message", "input_tokens": 5, "output_tokens": 6},
                ],
            }
        },
        Usage(106, 18),
    ),
    (
        "chat",
        CHAT,
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 8,
                "total_tokens": 17,
                "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 5},
            }
        },
        Usage(9, 8, 7, 1, 5),
    ),
    (
        "xAI: reasoning beside the completion",
        CHAT,
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 8,
                "total_tokens": 22,
                "completion_tokens_details": {"reasoning_tokens": 5},
            }
        },
        Usage(9, 13, 0, 0, 5),
    ),
    (
        "xAI: more cached than prompted",
        CHAT,
        {"usage": {"prompt_tokens": 9, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 30}}},
        Usage(39, 8, 30),
    ),
    (
        "DeepSeek",
        CHAT,
        {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 6}},
        Usage(9, 1, 6),
    ),
    ("Mistral", CHAT, {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "num_cached_tokens": 6}}, Usage(9, 1, 6)),
    (
        "Mistral, other name",
        CHAT,
        {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_token_details": {"cached_tokens": 6}}},
        Usage(9, 1, 6),
    ),
    ("Together", CHAT, {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 6}}, Usage(9, 1, 6)),
    ("Groq", CHAT, {"choices": [], "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 1}}}, Usage(9, 1)),
    (
        "responses event",
        RESPONSES,
        {
            "type": "response.completed",
            "response": {
                "usage": {
                    "input_tokens": 9,
                    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                    "output_tokens": 8,
                    "output_tokens_details": {"reasoning_tokens": 3},
                }
            },
        },
        Usage(9, 8, 4, 2, 3),
    ),
    (
        "responses body",
        RESPONSES,
        {"object": "response", "usage": {"input_tokens": 9, "output_tokens": 8}},
        Usage(9, 8),
    ),
    (
        "gemini",
        GEMINI,
        {
            "usageMetadata": {
                "promptTokenCount": 9,
                "cachedContentTokenCount": 4,
                "candidatesTokenCount": 3,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 17,
            }
        },
        Usage(9, 8, 4, 0, 5),
    ),
    (
        "gemini: candidates include the thoughts",
        GEMINI,
        {
            "usageMetadata": {
                "promptTokenCount": 9,
                "candidatesTokenCount": 8,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 17,
            }
        },
        Usage(9, 8, 0, 0, 5),
    ),
    (
        "gemini: tool prompt",
        GEMINI,
        {
            "usageMetadata": {
                "promptTokenCount": 9,
                "toolUsePromptTokenCount": 2,
                "candidatesTokenCount": 3,
                "totalTokenCount": 14,
            }
        },
        Usage(11, 3),
    ),
    (
        "gemini without a total",
        GEMINI,
        {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 5}},
        Usage(9, 8, 0, 0, 5),
    ),
    (
        "code assist",
        GEMINI,
        {"response": {"usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 12}}},
        Usage(9, 3),
    ),
    ("no numbers", CHAT, {"usage": None}, None),
    ("odd numbers", CHAT, {"usage": {"prompt_tokens": "9", "completion_tokens": True, "total_tokens": -4}}, Usage()),
]


@pytest.mark.parametrize(
    ("dialect", "event", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_usage(dialect: Dialect, event: dict[str, Any], expected: Usage | None) -> None:
    assert one(dialect, event) == expected


def test_cumulative_fields_are_not_added() -> None:
    """Several `message_delta`s come; the last one counts, and null fields in it do not erase the first."""
    stream = (
        b'data: {"type":"message_start","message":{"usage":'
        b'{"input_tokens":25,"cache_read_input_tokens":7,"output_tokens":1}}}\n\n'
        b'data: {"type":"message_delta","usage":{"output_tokens":10}}\n\n'
        b'data: {"type":"message_delta","usage":{"output_tokens":15,"cache_read_input_tokens":null}}\n\n'
    )
    tail = Tail(MESSAGES)
    tail.feed(stream)
    assert usage_of(MESSAGES, tail.first_usage, tail.last_usage) == Usage(32, 15, 7)


def test_sums() -> None:
    assert Usage(1, 2, 3, 4, 5) + Usage(1, 1, 1, 1, 1) == Usage(2, 3, 4, 5, 6)


@given(st.sampled_from(Dialect), st.binary(max_size=80), st.binary(max_size=80))
def test_total(dialect: Dialect, first: bytes, last: bytes) -> None:
    assert usage_of(dialect, first, last) is None or first or last


NOW = 1_790_000_000.0


def test_codex_frames() -> None:
    frame = {
        "type": "codex.rate_limits",
        "rate_limits": {
            "primary": {"used_percent": 42.5, "window_minutes": 300, "reset_at": int(NOW) + 60},
            "secondary": None,
        },
    }
    expected = (Window("primary", used_percent=42.5, minutes=300, wait=60),)
    assert frame_windows(json.dumps(frame).encode(), server_now=NOW) == expected
    assert frame_windows(b"[]", server_now=NOW) == frame_windows(b"{", server_now=NOW) == ()
