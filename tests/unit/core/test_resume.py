"""Going on with a broken stream: what the client gets is one answer, or it is told that it broke."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import (
    ANTHROPIC,
    BLOCK_STOP,
    CHAT,
    CREATED,
    GEMINI,
    MESSAGE_DELTA,
    MESSAGE_START,
    MESSAGE_STOP,
    PING,
    RESPONSES,
    TEXT_DELTA,
    TEXT_START,
    TOOL_START,
    chunk,
    delta,
    frame,
    named,
    plain,
)  # fmt: skip

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.resume import DivergedError, Script, Way
from mitm_balancer.core.sse import Event, SseSplitter


def written(dialect: Dialect, *texts: str, opening: bool = True, closing: bool = True) -> list[bytes]:
    """A stream that says these texts, as single events."""
    match dialect:
        case Dialect.ANTHROPIC_MESSAGES:
            before, after = (
                [named(MESSAGE_START), named(TEXT_START)],
                [named(BLOCK_STOP), named(MESSAGE_DELTA), named(MESSAGE_STOP)],
            )
            middle = [named(delta(text)) for text in texts]
        case Dialect.OPENAI_CHAT:
            before, after = [plain(chunk(role="assistant", content=""))], [plain(chunk("stop")), plain(b"[DONE]")]
            middle = [plain(chunk(content=text)) for text in texts]
        case _:
            before, after = [], [plain(frame("", "STOP"))]
            middle = [plain(frame(text)) for text in texts]
    return [*(before if opening else []), *middle, *(after if closing else [])]


def only(raw: bytes) -> Event:
    (event,) = SseSplitter().feed(raw)
    return event


def script(dialect: Dialect, *texts: str) -> Script:
    made = Script(dialect)
    for raw in written(dialect, *texts, closing=False):
        made.saw(only(raw))
    return made


def said(dialect: Dialect, raws: bytes) -> str:
    made = Script(dialect)
    for event in SseSplitter().feed(raws):
        made.saw(event)
    return made.text


BODIES = {
    ANTHROPIC: b'{"model":"m", "messages": [ {"role":"user","content":"hi"} ] ,"stream":true}',
    CHAT: b'{"messages":[{"role":"system","content":"s"},{"role":"user","content":"]}"}],"stream":true}',
    GEMINI: b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}',
}

DIALECTS = pytest.mark.parametrize("dialect", [ANTHROPIC, CHAT, GEMINI])


@DIALECTS
@given(whole=st.text(min_size=2, max_size=40), cut=st.integers(1, 39), sizes=st.lists(st.integers(1, 9), min_size=1))
def test_a_replay_gives_the_whole_answer_once(dialect: Dialect, whole: str, cut: int, sizes: list[int]) -> None:
    cut = min(cut, len(whole))
    had = script(dialect, whole[:cut])
    assert had.request(Way.REPLAY, BODIES[dialect]) == BODIES[dialect]
    pieces, at = [], 0
    while at < len(whole):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(whole[at : at + size])
        at += size
    got = b"".join(had.onto(only(raw), raw) for raw in written(dialect, *pieces))
    assert whole[:cut] + said(dialect, got) == whole
    assert got.endswith(written(dialect)[-1])


@DIALECTS
def test_a_replay_that_says_something_else_is_the_end(dialect: Dialect) -> None:
    had = script(dialect, "The capital", " of France")
    had.request(Way.REPLAY, b"{}")
    opening = written(dialect, "The ", closing=False)
    assert b"".join(had.onto(only(raw), raw) for raw in opening) == b""
    other = written(dialect, "answer", opening=False, closing=False)[0]
    with pytest.raises(DivergedError):
        had.onto(only(other), other)


@DIALECTS
def test_a_replay_that_ends_earlier_is_the_end(dialect: Dialect) -> None:
    had = script(dialect, "long text")
    had.request(Way.REPLAY, b"{}")
    with pytest.raises(DivergedError):
        for raw in written(dialect, "long"):
            had.onto(only(raw), raw)


@DIALECTS
def test_a_continuation_asks_for_the_rest_alone(dialect: Dialect) -> None:
    had = script(dialect, "Once upon", ' a "time" \n')
    body = had.request(Way.CONTINUE, BODIES[dialect])
    assert body is not None
    key = "contents" if dialect is GEMINI else "messages"
    before, after = json.loads(BODIES[dialect])[key], json.loads(body)[key]
    assert after[:-1] == before
    assert 'Once upon a "time"' in json.dumps(after[-1], ensure_ascii=False).replace('\\"', '"')
    end = BODIES[dialect].rindex(b"}", 0, BODIES[dialect].rindex(b"]")) + 1
    assert body.startswith(BODIES[dialect][:end]) and body.endswith(BODIES[dialect][end:])  # no other byte
    got = b"".join(had.onto(only(raw), raw) for raw in written(dialect, "there", " was"))
    assert said(dialect, got) == "there was"
    assert b"message_start" not in got and b'"role":"assistant"' not in got


def test_white_space_at_the_end_is_not_said_twice() -> None:
    for again, expected in ((" \nthere", "there"), ("there", "there"), (" ", ""), (" \n\n", "\n")):
        had = script(ANTHROPIC, "Once \n")
        body = had.request(Way.CONTINUE, BODIES[ANTHROPIC])
        assert body is not None and json.loads(body)["messages"][-1] == {"role": "assistant", "content": "Once"}
        assert said(ANTHROPIC, b"".join(had.onto(only(raw), raw) for raw in written(ANTHROPIC, again))) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b'{"messages":[]}', b'{"messages":{}}', b'{"messages":[{"role":"user"}',
    b'{"messages":[{"role":"user"},{"role":"assistant","content":"I"}]}'])  # fmt: skip
def test_a_request_that_cannot_be_added_to_is_not_gone_on_with(body: bytes) -> None:
    assert script(ANTHROPIC, "text").request(Way.CONTINUE, body) is None


@pytest.mark.parametrize(
    ("dialect", "raws"),
    [
        (ANTHROPIC, named(MESSAGE_START, TOOL_START)),
        (ANTHROPIC, named(MESSAGE_START, TEXT_START)),
        (ANTHROPIC, named(MESSAGE_START, TEXT_START, delta("a"), BLOCK_STOP)),
        (ANTHROPIC, named(MESSAGE_START, TEXT_START, delta("a"), TOOL_START | {"index": 1})),
        (ANTHROPIC, named(MESSAGE_START, {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "h"}})),  # noqa: E501
        (CHAT, plain(chunk(role="assistant"), chunk(content="a"), chunk(tool_calls=[{"index": 0}]))),
        (CHAT, plain(chunk(content="a"), chunk("length"))),
        (CHAT, plain(chunk(reasoning_content="hm"), chunk(content="a"))),
        (GEMINI, plain(frame("a"), {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]})),
        (GEMINI, plain({"candidates": [{"content": {"parts": [{"text": "h", "thought": True}]}}]}, frame("a"))),
        (GEMINI, plain(frame("a", "STOP"))),
        (RESPONSES, named(CREATED, TEXT_DELTA)),
    ],
    ids=range(12),
)  # fmt: skip
def test_only_the_beginning_of_a_text_is_gone_on_with(dialect: Dialect, raws: bytes) -> None:
    made = Script(dialect)
    for event in SseSplitter().feed(raws):
        made.saw(event)
    assert not made.resumable


def test_pings_and_comments_change_nothing() -> None:
    made = script(ANTHROPIC, "a")
    made.saw(only(named(PING)))
    made.saw(Event(comment="keep-alive"))
    assert made.resumable and made.text == "a"


def test_a_tool_call_after_the_text_passes() -> None:
    had = script(ANTHROPIC, "I look")
    had.request(Way.CONTINUE, BODIES[ANTHROPIC])
    tool = named(TOOL_START | {"index": 1})
    raws = [*written(ANTHROPIC, " it up", closing=False), named(BLOCK_STOP), tool]
    assert b"".join(had.onto(only(raw), raw) for raw in raws).endswith(tool)


def test_a_thought_in_the_place_of_the_text_is_the_end() -> None:
    had = script(ANTHROPIC, "I look")
    had.request(Way.CONTINUE, BODIES[ANTHROPIC])
    thought = named({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}})
    with pytest.raises(DivergedError):
        had.onto(only(thought), thought)


@pytest.mark.parametrize(
    "dialect, value",
    [
        (ANTHROPIC, {"type": "content_block_delta", "index": 0, "delta": "x"}),
        (ANTHROPIC, {"type": "content_block_start", "index": 0, "content_block": "x"}),
        (CHAT, {"choices": {"a": 1}}),
        (CHAT, {"choices": 5}),
        (CHAT, {"choices": [None]}),
        (CHAT, {"choices": [{"delta": ["role"]}]}),
        (GEMINI, {"candidates": 5}),
        (GEMINI, {"candidates": ["x"]}),
        (GEMINI, {"candidates": [{"content": {"parts": 5}}]}),
    ],
    ids=repr,
)
def test_an_event_of_an_unknown_shape_passes_and_rules_going_on_out(dialect: Dialect, value: object) -> None:
    """With `resume: error` it would pass: another setting must not break an answer that is whole."""
    script = Script(dialect)
    script.saw(Event(data=json.dumps(value).encode()))
    assert not script.resumable
