"""Where a request stands in its conversation, read from real shapes."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from mitmproxy.test import tutils

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.session import Bindings, SessionKeys, Tie
from mitm_balancer.core.switching import CACHE_LIFE, LONG_LIFE
from mitm_balancer.proxy.caching import begins_turn, cache_life, remember
from mitm_balancer.proxy.record import Record

A, C, R, G = Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.GEMINI
USER = {"role": "user", "content": [{"type": "text", "text": "go on"}]}
RESULT = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "t"}, {"type": "text", "text": "<system-reminder>"}],
}


def asks(body: Any, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return tutils.treq(content=content, headers=headers)


@pytest.mark.parametrize(
    ("dialect", "body", "begins"),
    [
        (A, {"messages": [USER]}, True),
        (A, {"messages": [{"role": "user", "content": "hi"}]}, True),
        (A, {"messages": [USER, {"role": "assistant", "content": []}, RESULT], "tools": [{"role": "user"}]}, False),
        (C, {"messages": [{"role": "user", "content": "hi"}]}, True),
        (C, {"messages": [{"role": "user", "content": "hi"}, {"role": "tool", "content": "42"}]}, False),
        (R, {"input": "hi"}, True),
        (R, {"input": [{"type": "message", "role": "user", "content": []}]}, True),
        (R, {"input": [{"role": "user", "content": "hi"}]}, True),
        (R, {"input": [{"type": "message", "role": "user"}, {"type": "function_call_output", "output": ""}]}, False),
        (R, {"input": [{"type": "custom_tool_call_output", "output": ""}]}, False),
        (G, {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, True),
        (G, {"contents": [{"parts": [{"text": "hi"}]}]}, True),
        (G, {"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f"}}]}]}, False),
        (G, {"request": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}}, True),
        (A, b"", False),
    ],
)
def test_the_last_message_tells(dialect: Dialect, body: Any, begins: bool) -> None:
    """A person's begins a turn, a tool's result does not; what cannot be read does not."""
    assert begins_turn(asks(body), dialect) is begins


def test_a_coded_body_is_read_and_a_handshake_begins() -> None:
    """Codex sends zstd, or nothing but a handshake."""
    coded = asks(gzip.compress(json.dumps({"input": "hi"}).encode()), ((b"content-encoding", b"gzip"),))
    assert begins_turn(coded, R)
    assert begins_turn(asks(b"", ((b"upgrade", b"websocket"),)), R)


def test_an_hour_only_where_the_request_says_so() -> None:
    """Not where somebody talks about it."""
    said = {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}
    assert cache_life(asks(said)) == LONG_LIFE
    assert cache_life(asks({"messages": [{"role": "user", "content": json.dumps(said)}]})) == CACHE_LIFE
    assert cache_life(asks({"ttl": "5m", "x": "1h"})) == CACHE_LIFE


class Call:
    """What `remember` needs of a dispatcher."""

    def __init__(self, tie: Tie | None) -> None:
        self.tie, self.model = tie, "m"


@pytest.mark.parametrize(("usage", "kept"), [({"input": 700}, 700), ({"input": 0}, 0), (None, 0)])
def test_what_an_answer_told_is_remembered(usage: dict[str, int] | None, kept: int) -> None:
    """Its whole prompt, for the account that served; without numbers nothing."""
    bindings = Bindings()
    tie = Tie(bindings, SessionKeys("s"))
    tie.begins("p/a", 10.0)
    record = Record("r", "POST", "h", "/")
    record.data["account"] = "p/a"
    if usage is not None:
        record.data["usage"] = usage
    remember(Call(tie), asks(b"{}"), record, 10.0)  # type: ignore[arg-type]
    remember(Call(None), asks(b"{}"), record, 10.0)  # type: ignore[arg-type]
    remember(None, asks(b"{}"), record, 10.0)
    assert tie.cold_tokens("p/a", 11.0) == kept
