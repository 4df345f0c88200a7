"""What goes over the wire: the request that an agent sends, and the origin's answers. Bytes made once, sent often.

The load client tells the origin what to answer in the request header `x-bench` (the origin then need not parse 1 MB of
JSON, which would be measured as if it were the proxy's); the body is an ordinary Anthropic request all the same.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass

HEADER = b"x-bench"
STAMP = b'"sent_ns":'
"""Stands before each paced event's monotonic clock in nanoseconds (one clock for all processes of the machine)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What the origin shall answer."""

    events: int = 0
    """Text events of a stream; 0: one JSON answer."""
    gap_ms: float = 0.0
    """Time between two events; 0: as fast as they go."""
    size: int = 600
    """Bytes of a JSON answer."""
    refuse: str = ""
    """Answer 429 the first time that this id is seen; `always`: each time."""

    def encode(self) -> bytes:
        return f"{self.events},{self.gap_ms},{self.size},{self.refuse}".encode()

    @classmethod
    def decode(cls, raw: bytes) -> Ask:
        events, gap, size, refuse = raw.decode().split(",")
        return cls(int(events), float(gap), int(size), refuse)


def request_body(size: int, *, stream: bool) -> bytes:
    """A Messages request of about `size` bytes: system, tools and turns, as a coding agent sends them."""
    turn = 'The quick brown fox \\ jumps "over" the lazy dog;\n\tdef f(x): return x + 1  # \u00e9\u4e2d\n'
    tool = {"name": "read_file", "description": "Read a file", "input_schema": {"type": "object", "properties": {}}}
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "stream": stream,
        "system": [{"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}}],
        "tools": [tool],
        "metadata": {"user_id": "user_bench_account__session_00000000-0000-4000-8000-000000000000"},
        "messages": [{"role": "user", "content": ""}],
    }
    room = size - len(json.dumps(body))
    body["messages"] = [{"role": "user", "content": turn * max(1, room // (len(json.dumps(turn)) - 2))}]
    return json.dumps(body).encode()


def request_head(length: int, key: str, ask: Ask) -> bytes:
    """The head of a POST to /v1/messages with the header set of an Anthropic SDK's size."""
    return b"".join(
        (
            b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.anthropic.com\r\n",
            b"Accept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n",
            b"User-Agent: mitm-balancer-bench/1\r\nanthropic-version: 2023-06-01\r\n",
            b"anthropic-beta: prompt-caching-2024-07-31,context-1m-2025-08-07\r\n",
            b"Content-Type: application/json\r\nx-api-key: " + key.encode() + b"\r\n",
            HEADER + b": " + ask.encode() + b"\r\n",
            b"Content-Length: %d\r\n\r\n" % length,
        )
    )


_RESET = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
LIMITS = (
    b"request-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\n"
    b"anthropic-ratelimit-requests-limit: 4000\r\nanthropic-ratelimit-requests-remaining: 3999\r\n"
    b"anthropic-ratelimit-requests-reset: " + _RESET + b"\r\n"
    b"anthropic-ratelimit-tokens-limit: 400000\r\nanthropic-ratelimit-tokens-remaining: 399000\r\n"
    b"anthropic-ratelimit-tokens-reset: " + _RESET + b"\r\n"
)


def json_answer(size: int) -> bytes:
    """A whole 200 whose JSON body has about `size` bytes."""
    message = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": ""}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 2095, "output_tokens": 503, "cache_read_input_tokens": 1000},
    }
    message["content"] = [{"type": "text", "text": "x" * max(0, size - len(json.dumps(message)))}]
    return _whole(b"200 OK", LIMITS, json.dumps(message).encode())


def refusal() -> bytes:
    """A 429 of a limited account that may come back in a millisecond."""
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "This request would exceed your limit."}}
    pushback = b"retry-after-ms: 1\r\nretry-after: 0\r\n"
    return _whole(b"429 Too Many Requests", pushback + LIMITS, json.dumps(error).encode())


def stream_head() -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
        + LIMITS
        + b"Transfer-Encoding: chunked\r\n\r\n"
    )


def event(name: str, data: dict[str, object]) -> bytes:
    """One stream event as one HTTP chunk, as the providers send them."""
    return chunk(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode())


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _whole(status: bytes, headers: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\n" + headers
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
