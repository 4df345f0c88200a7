"""Exactly the refused reasoning goes, and every other byte stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.splice import cuts, elements, without
from mitm_balancer.core.strip import is_refused, strip
from mitm_balancer.core.verdict import Outcome, Verdict

ANTHROPIC, RESPONSES = Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES
INDENTS = st.sampled_from([None, 1])

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
blocks = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "thinking", "redacted_thinking", "tool_use"]), "x": values}
    ),
    max_size=5,
)
messages = st.lists(
    st.fixed_dictionaries({"content": blocks | st.text(), "role": st.sampled_from(["user", "assistant"])}), max_size=5
)


@given(st.lists(values, max_size=7), st.sets(st.integers(0, 6)), INDENTS)
def test_elements_are_found_and_cut(array: list[Any], doomed: set[int], indent: int | None) -> None:
    """What is left is JSON, holds what was to stay, and each element that stays is there byte for byte."""
    body = json.dumps({"a": array}, indent=indent).encode()
    spans = elements(body, body.index(b"["))
    assert spans is not None
    assert [json.loads(body[a:b]) for a, b in spans] == array
    made = without(body, cuts(spans, doomed))
    kept = [n for n in range(len(array)) if n not in doomed]
    assert json.loads(made) == {"a": [array[n] for n in kept]}
    if len(kept) == len(array):
        assert made == body
    elif indent is None and kept:
        assert made == json.dumps({"a": [array[n] for n in kept]}).encode()


@pytest.mark.parametrize("body", [b"", b"[", b"[1", b"[1,", b"[1 2]", b"[,]", b"[1,]", b'["a', b"[{]", b"{}", b"[1}"])
def test_what_is_no_array_has_no_elements(body: bytes) -> None:
    assert elements(body, 0) is None


@given(messages, values, INDENTS)
def test_thinking_blocks_of_assistants_go(messages: list[dict[str, Any]], other: Any, indent: int | None) -> None:
    """Compared with a re-serialiser; a user's own text never counts."""
    body = json.dumps({"z": other, "messages": messages, "thinking": {"type": "enabled"}}, indent=indent).encode()
    kept, gone = [], 0
    for message in messages:
        content = message["content"]
        if message["role"] == "assistant" and isinstance(content, list):
            left = [block for block in content if "thinking" not in block["type"]]
            gone += len(content) - len(left)
            if content and not left:
                continue
            content = left
        kept.append({**message, "content": content})
    made = strip(ANTHROPIC, body)
    if not gone:
        assert made is None
        return
    assert made is not None
    assert (made.count, made.what) == (gone, "thinking blocks")
    assert json.loads(made.body) == {"z": other, "messages": kept, "thinking": {"type": "enabled"}}


@given(st.lists(st.fixed_dictionaries({"id": values, "type": st.sampled_from(["reasoning", "message"])}), max_size=6))
def test_reasoning_items_go(items: list[dict[str, Any]]) -> None:
    made = strip(RESPONSES, json.dumps({"input": items, "reasoning": {"type": "reasoning"}}).encode())
    left = [item for item in items if item["type"] != "reasoning"]
    if len(left) == len(items):
        assert made is None
    else:
        assert made is not None
        assert made.body == json.dumps({"input": left, "reasoning": {"type": "reasoning"}}).encode()


def test_odd_spelling_survives() -> None:
    """Spaces, escapes, numbers as they were written."""
    body = rb'{ "input" :[ {"type" : "\u0072easoning", "e":"]}"} ,{"n":1.0e2,"t":"\u00e9"}, {"type":"reasoning"}] }'
    made = strip(RESPONSES, body)
    assert made is not None
    assert (made.body, made.count, made.what) == (rb'{ "input" :[ {"n":1.0e2,"t":"\u00e9"}] }', 2, "reasoning items")


@given(st.binary() | st.text().map(str.encode), st.sampled_from(list(Dialect)))
def test_any_bytes_are_left_alone(body: bytes, dialect: Dialect) -> None:
    assert strip(dialect, body) is None


@pytest.mark.parametrize("body", [b'{"input":"hi"}', b'{"input":[{"type":"reasoning"}', b'{"input":["reasoning"]}'])
def test_what_has_no_reasoning_to_lose(body: bytes) -> None:
    assert strip(RESPONSES, body) is None


SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"


@pytest.mark.parametrize(
    ("dialect", "reason", "message", "expected"),
    [
        (ANTHROPIC, "invalid_signature", "", True),
        (ANTHROPIC, "invalid_request_error", SIGNATURE, True),
        (ANTHROPIC, "invalid_request_error", "Invalid `data` in `redacted_thinking` block", True),
        (ANTHROPIC, "invalid_request_error", "max_tokens: too large for thinking", False),
        (ANTHROPIC, "invalid_encrypted_content", "", False),
        (RESPONSES, "invalid_encrypted_content", "", True),
        (RESPONSES, "invalid_request_error", SIGNATURE, False),
        (Dialect.OPENAI_CHAT, "invalid_encrypted_content", "", False),
    ],
)
def test_what_says_that_reasoning_was_refused(dialect: Dialect, reason: str, message: str, expected: bool) -> None:
    assert is_refused(dialect, Outcome(Verdict.REQUEST_FAULT, reason, message=message)) is expected
    assert not is_refused(dialect, Outcome(Verdict.AUTH_FAILURE, reason, message=message))


def test_only_what_went_before() -> None:
    """The digests of what was refused name it in the next request, and nothing that came after it."""
    old, new = {"type": "thinking", "signature": "old"}, {"type": "thinking", "signature": "new"}
    text = {"type": "text", "text": "b"}

    def body(*said: dict[str, Any]) -> bytes:
        return json.dumps({"messages": [{"role": "assistant", "content": [*said, text]}]}).encode()

    first = strip(ANTHROPIC, body(old))
    assert first is not None
    assert len(first.parts) == 1
    later = strip(ANTHROPIC, body(old, new), first.parts)
    assert later is not None
    assert later.body == body(new)
    assert strip(ANTHROPIC, body(new), first.parts) is None
    items = [{"type": "reasoning", "id": n} for n in range(3)]
    made = strip(RESPONSES, json.dumps({"input": items[:2]}).encode())
    assert made is not None
    rest = strip(RESPONSES, json.dumps({"input": items}).encode(), made.parts)
    assert rest is not None
    assert json.loads(rest.body)["input"] == items[2:]
