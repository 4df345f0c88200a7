"""Where the tokens of an answer are read: in a watched stream, at the end of a body, in a socket's last frame."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.tail import Tail
from mitm_balancer.providers.usage import Usage
from mitm_balancer.usage.body_end import KEPT, KEPT_COMPRESSED, BodyEnd
from mitm_balancer.usage.gauge import Gauge, ended_in_socket

BODIES = {
    Dialect.ANTHROPIC_MESSAGES: {"content": [], "usage": {"input_tokens": 7, "output_tokens": 3}},
    Dialect.OPENAI_CHAT: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
    Dialect.OPENAI_RESPONSES: {"output": [], "usage": {"input_tokens": 7, "output_tokens": 3}, "user": None},
    Dialect.GEMINI: {"candidates": [], "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3}},
}
WANTED = Usage(input=7, output=3)


def gauge(
    dialect: Dialect, content_type: str = "application/json", coding: str = "", tail: Tail | None = None
) -> Gauge:
    return Gauge(dialect, tail, content_type=content_type, content_encoding=coding)


def fed(found: Gauge, body: bytes, size: int = 16 * 1024) -> Gauge:
    for at in range(0, len(body), size):
        found.feed(body[at : at + size])
    return found


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("filling", [0, 3 * KEPT])
def test_a_body_of_any_length_tells_its_tokens(dialect: Dialect, indent: int | None, filling: int) -> None:
    body = json.dumps({"big": "x" * filling} | BODIES[dialect], indent=indent).encode()
    assert fed(gauge(dialect), body).usage() == WANTED
    assert fed(gauge(dialect, "Application/JSON; charset=utf-8", "gzip"), gzip.compress(body, mtime=0)).usage() == WANTED


@pytest.mark.parametrize("dialect", Dialect)
def test_a_list_of_answers_tells_its_last_ones(dialect: Dialect) -> None:
    """Gemini streams such a list where a client does not ask for events."""
    early = json.loads(json.dumps(BODIES[dialect]).replace("7", "1"))
    assert fed(gauge(dialect), json.dumps([early, BODIES[dialect]]).encode()).usage() == WANTED


def test_no_more_than_the_end_is_kept() -> None:
    found = BodyEnd()
    for _ in range(1000):
        found.feed(bytes(10_000))
    assert KEPT <= found._size < KEPT + 10_000
    assert sum(map(len, found._parts)) == found._size

    packed = BodyEnd("gzip")
    for _ in range(1000):
        packed.feed(bytes(10_000))
    assert sum(map(len, packed._parts)) <= KEPT_COMPRESSED
    assert packed.usage(Dialect.OPENAI_CHAT) is None


def test_text_that_quotes_usage_is_not_believed() -> None:
    said = json.dumps({"usage": {"prompt_tokens": 999}})
    body = json.dumps({"pad": "x" * KEPT, **BODIES[Dialect.OPENAI_CHAT], "said": said}).encode()
    assert fed(gauge(Dialect.OPENAI_CHAT), body).usage() == WANTED


def test_a_tools_input_is_no_usage() -> None:
    """It is JSON, not text. A whole body is read as such; in the end of a longer one the last object counts."""
    tool = {"type": "tool_use", "input": {"usage": {"input_tokens": 999}}}
    body = {"usage": BODIES[Dialect.ANTHROPIC_MESSAGES]["usage"], "content": [tool]}
    assert fed(gauge(Dialect.ANTHROPIC_MESSAGES), json.dumps(body).encode()).usage() == WANTED
    body = {"content": [tool, "x" * KEPT], "usage": body["usage"]}
    assert fed(gauge(Dialect.ANTHROPIC_MESSAGES), json.dumps(body).encode()).usage() == WANTED


@pytest.mark.parametrize("content_type", ["audio/mpeg", "image/png", "", "application/octet-stream"])
def test_what_cannot_speak_is_not_kept(content_type: str) -> None:
    found = fed(gauge(Dialect.OPENAI_CHAT, content_type), json.dumps(BODIES[Dialect.OPENAI_CHAT]).encode())
    assert found.usage() is None
    assert found._body is None


@given(st.binary(max_size=400), st.sampled_from(list(Dialect)), st.sampled_from(["", "gzip", "br", "zstd", "odd"]))
def test_any_bytes_give_an_answer(data: bytes, dialect: Dialect, coding: str) -> None:
    for body in (data, b'{"usage":{' + data, b'{"usageMetadata": {' + data, data + b'"usage": {}'):
        found = fed(gauge(dialect, coding=coding), body, 7).usage()
        assert found is None or isinstance(found, Usage)


def test_a_watched_stream_is_asked_and_not_kept() -> None:
    tail = Tail(Dialect.ANTHROPIC_MESSAGES)
    found = gauge(Dialect.ANTHROPIC_MESSAGES, "text/event-stream", tail=tail)
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}
    tail.feed(f"event: message_start\ndata: {json.dumps(start)}\n\n".encode())
    assert found.usage() == Usage(input=7, output=1), "cut here, these were billed"
    tail.feed(b'event: message_delta\ndata: {"type": "message_delta", "usage": {"output_tokens": 3}}\n\n')
    assert found.usage() == WANTED
    assert found._body is None


def test_an_answer_in_a_socket_is_told_once() -> None:
    tail = Tail(Dialect.OPENAI_RESPONSES)

    def frame(kind: str, **response: object) -> tuple[Usage, str] | None:
        tail.frame(json.dumps({"type": kind, "response": response}).encode())
        return ended_in_socket(Dialect.OPENAI_RESPONSES, tail)

    usage = {"input_tokens": 7, "output_tokens": 3}
    for model in ("gpt-5", "gpt-5-mini"):
        assert frame("response.created", model=model, usage=None) is None
        assert frame("response.completed", model=model, usage=usage) == (WANTED, model)
        assert frame("response.output_text.delta") is None
    assert frame("response.failed", usage=None) is None
    assert frame("response.completed", usage=usage) == (WANTED, "")
