"""The tail of a committed stream: usage, the end, errors; and what we append to one that broke."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import (
    ANTHROPIC,
    CHAT,
    COMPLETED,
    CREATED,
    GEMINI,
    MESSAGE_DELTA,
    MESSAGE_START,
    MESSAGE_STOP,
    RESPONSES,
    TEXT_DELTA,
    TEXT_START,
    USAGE_CHUNK,
    WHOLE,
    chunk,
    cut,
    delta,
    dump,
    frame,
    halves,
    named,
    plain,
)

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.endings import error_event
from mitm_balancer.core.gate import Gate, GateState
from mitm_balancer.core.sse import MAX_EVENT
from mitm_balancer.core.tail import Tail

LAST_USAGE = {
    ANTHROPIC: dump(MESSAGE_DELTA),
    CHAT: dump(USAGE_CHUNK),
    RESPONSES: dump(COMPLETED),
    GEMINI: dump(frame("", "STOP")),
}


def watch(dialect: Dialect, *parts: bytes, **kinds: str) -> Tail:
    tail = Tail(dialect, **kinds)
    for part in parts:
        tail.feed(part)
    tail.eof()
    return tail


@given(st.data(), st.sampled_from(Dialect))
def test_a_whole_answer(data: st.DataObject, dialect: Dialect) -> None:
    """Any chunking: the end was seen, the last usage is kept, nothing is an error."""
    tail = watch(dialect, *data.draw(cut(WHOLE[dialect])))
    assert tail.saw_terminal and not tail.mid_event and tail.readable
    assert tail.error is None
    assert tail.last_usage == LAST_USAGE[dialect]


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_whole_answer_cut_anywhere(dialect: Dialect, line_end: bytes) -> None:
    stream = WHOLE[dialect].replace(b"\n", line_end)
    for parts in halves(stream):
        tail = watch(dialect, *parts)
        assert tail.saw_terminal and not tail.mid_event, parts
        assert tail.last_usage == LAST_USAGE[dialect], parts


@pytest.mark.parametrize("dialect", list(Dialect))
def test_events_after_the_end_of_a_begun_one_are_found(dialect: Dialect) -> None:
    """The chunk that ends one event begins the next, with its marks already in it."""
    stream = WHOLE[dialect]
    ends = [at + 2 for at in range(len(stream)) if stream.startswith(b"\n\n", at)]
    for end in ends[:-1]:
        for more in (40, 60, 90):
            tail = watch(dialect, stream[: end - 4], stream[end - 4 : end + more], stream[end + more :])
            assert tail.saw_terminal and tail.last_usage == LAST_USAGE[dialect], (end, more)


def test_anthropics_first_usage_is_kept() -> None:
    tail = watch(ANTHROPIC, WHOLE[ANTHROPIC])
    assert json.loads(tail.first_usage)["message"]["usage"]["input_tokens"] == 25


@pytest.mark.parametrize(
    ("dialect", "stream"),
    [
        (ANTHROPIC, named(MESSAGE_START, TEXT_START, delta("Hi"), MESSAGE_DELTA)),
        (CHAT, plain(chunk(role="assistant"), chunk(content="Hi"))),
        (RESPONSES, named(CREATED, TEXT_DELTA)),
        (GEMINI, plain(frame("Hi"))),
    ],
)
def test_a_cut_answer_has_no_end(dialect: Dialect, stream: bytes) -> None:
    assert not watch(dialect, stream).saw_terminal


def test_text_that_looks_like_an_end_is_none() -> None:
    """The model prints protocol words: inside JSON strings their quotes are escaped."""
    lies = 'message_stop {"type":"message_stop"} event: error "error":{"type":"x"} "usage":{"output_tokens":9} [DONE]'
    tail = watch(ANTHROPIC, named(delta(lies)))
    assert (tail.saw_terminal, tail.error, tail.last_usage) == (False, None, b"")
    tail = watch(CHAT, plain(chunk(content=lies + '"finish_reason":"stop"')))
    assert (tail.saw_terminal, tail.error, tail.last_usage) == (False, None, b"")


def test_a_chat_answer_without_its_end_marker_is_whole_after_a_finish_reason() -> None:
    assert watch(CHAT, plain(chunk("stop"))).saw_terminal


ERRORS: list[tuple[Dialect, bytes]] = [
    (ANTHROPIC, named({"type": "error", "error": {"type": "overloaded_error"}})),
    (CHAT, plain({"error": {"code": 502}, "choices": [{"finish_reason": "error"}]})),
    (CHAT, plain({"base_resp": {"status_code": 1002}})),
    (RESPONSES, named({"type": "response.failed", "response": {"error": {"code": "server_error"}}})),
    (RESPONSES, named({"type": "error", "error": {"code": "x"}, "status": 429})),
    (GEMINI, plain({"error": {"code": 503}})),
]


@pytest.mark.parametrize(("dialect", "event"), ERRORS)
def test_an_error_after_content_is_found(dialect: Dialect, event: bytes) -> None:
    tail = watch(dialect, WHOLE[dialect][:0], event[:7], event[7:])
    assert tail.error is not None and json.loads(tail.error)


def test_codex_limit_frames_are_kept() -> None:
    tail = Tail(RESPONSES)
    tail.frame(dump({"type": "codex.rate_limits", "rate_limits": {"primary": {"used_percent": 5}}}))
    tail.frame(dump(TEXT_DELTA))
    tail.frame(dump(COMPLETED))
    assert json.loads(tail.rate_limits)["rate_limits"]["primary"] == {"used_percent": 5}
    assert tail.saw_terminal and tail.last_usage


def test_a_compressed_stream_is_read() -> None:
    assert watch(CHAT, gzip.compress(WHOLE[CHAT], mtime=0), content_encoding="gzip").saw_terminal
    assert not watch(CHAT, b"x", content_encoding="unheard-of").readable


def test_json_framing() -> None:
    array = b"[" + dump(frame("Hi")) + b",\n" + dump(frame("", "STOP")) + b"]"
    tail = watch(GEMINI, array, content_type="application/json")
    assert tail.saw_terminal and tail.last_usage == dump(frame("", "STOP"))
    body = {"type": "message", "content": [], "usage": {"input_tokens": 1}}
    tail = watch(ANTHROPIC, dump(body), content_type="application/json")
    assert tail.saw_terminal and tail.last_usage == dump(body)
    tail = watch(ANTHROPIC, dump(body)[:-1], content_type="application/json")
    assert not tail.saw_terminal and tail.mid_event is False
    assert Tail(ANTHROPIC, content_type="application/json").mid_event is False


def test_a_gigantic_event_is_skipped_and_its_kind_is_not_missed() -> None:
    big = {"type": "response.completed", "response": {"output": "x" * (MAX_EVENT + 9)}}
    stream = named(big)
    tail = watch(RESPONSES, *(stream[at : at + 50_000] for at in range(0, len(stream), 50_000)))
    assert tail.saw_terminal and not tail.mid_event
    tail = Tail(CHAT)
    for _ in range(40):
        tail.feed(b"data: " + b"x" * 50_000)
    assert tail.mid_event
    tail.feed(b"\n\n" + plain(USAGE_CHUNK, b"[DONE]"))
    assert tail.saw_terminal and tail.last_usage == dump(USAGE_CHUNK)


@given(st.data(), st.sampled_from(Dialect))
def test_mid_event(data: st.DataObject, dialect: Dialect) -> None:
    """Exactly when the bytes stop outside a blank line."""
    stream = WHOLE[dialect]
    tail = Tail(dialect)
    part = stream[: data.draw(st.integers(0, len(stream)))]
    tail.feed(part)
    assert tail.mid_event == (bool(part) and not part.endswith(b"\n\n"))


# -- what is appended to a stream that broke --


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("stopped", [0, 3])
def test_our_ending_is_the_dialects_error(dialect: Dialect, stopped: int) -> None:
    """Wherever the stream stopped, our event is an event of its own, an error, and no success."""
    begun = WHOLE[dialect].partition(b"\n\n")[0] + b"\n\n"
    broken = begun + WHOLE[dialect][:stopped]
    tail = Tail(dialect)
    tail.feed(broken)
    ending = error_event(dialect, "cut", mid_event=tail.mid_event)
    assert Gate(dialect).feed(ending) is GateState.FAILED
    tail.feed(ending)
    assert tail.error is not None and "cut" in tail.error.decode()
    assert tail.saw_terminal == (dialect is RESPONSES)  # response.failed is an end and says so


def test_the_ending_of_a_json_array_closes_it() -> None:
    broken = b"[" + dump(frame("Hi"))
    whole: Any = json.loads(broken + error_event(GEMINI, "cut", json_array=True))
    assert whole[1]["error"] == {"code": 503, "message": "cut", "status": "UNAVAILABLE"}


def test_the_code_is_the_dialects_own_word() -> None:
    assert b'"type": "overloaded_error"' in error_event(ANTHROPIC, "x", "overloaded_error")
    assert b'"code": "slow_down"' in error_event(CHAT, "x", "slow_down")
    assert b'"status": "INTERNAL"' in error_event(GEMINI, "x", "INTERNAL")


def test_usage_after_stop_does_not_hide_the_stop() -> None:
    assert watch(ANTHROPIC, named(MESSAGE_STOP), named(MESSAGE_DELTA)).saw_terminal
