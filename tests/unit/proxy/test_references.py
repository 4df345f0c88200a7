"""Ids are found where they are named, and nowhere else; no input fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.proxy import references

FILE, VECTOR = "file-BK7bzQj3FfZF", "vs_68f1a2b3c4d5"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"input": [{"content": [{"type": "input_file", "file_id": FILE}]}]}, (FILE,)),
        ({"input_file_id": FILE}, (FILE,)),
        ({"file_ids": [FILE, "file-2"], "tools": [{"vector_store_ids": [VECTOR]}]}, (FILE, "file-2", VECTOR)),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, ("cntr_1",)),
        ({"cachedContent": "cachedContents/c1"}, ("cachedContents/c1",)),
        ({"cached_content": "cachedContents/c1"}, ("cachedContents/c1",)),
        ({"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/f1"}}, ("files/f1",)),
        ({"file_data": {"file_uri": "gs://bucket/o"}}, ("gs://bucket/o",)),
        ({"input": [{"type": "item_reference", "id": "msg_1"}, {"id": "rs_2", "type": "item_reference"}]},
         ("msg_1", "rs_2")),
        ({"input": [{"type": "message", "id": "msg_1"}]}, ()),
        ({"content": f'{{"file_id": "{FILE}", "container": "x"}}'}, ()),
        ({"file_id": 7, "container": {"type": "auto"}, "file_ids": [], "vector_store_ids": "x"}, ()),
        ({"file_id": FILE, "x": {"file_id": FILE}}, (FILE,)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("indent", [None, 1])
def test_ids_in_a_request(body: dict[str, Any], expected: tuple[str, ...], indent: int | None) -> None:
    made = json.dumps(body, indent=indent).encode()
    google = any(mark in made for mark in (b"ached", b"ileUri", b"file_uri"))
    assert references.nested(made, Dialect.GEMINI if google else Dialect.OPENAI_RESPONSES) == expected


def test_a_long_conversation_gives_its_newest_items() -> None:
    items = [{"type": "item_reference", "id": f"msg_{n}"} for n in range(1000)]
    found = references.nested(json.dumps({"input": items}).encode(), Dialect.OPENAI_CHAT)
    assert found == tuple(f"msg_{n}" for n in range(1000 - references.MOST, 1000))


@pytest.mark.parametrize(
    ("target", "named"),
    [
        (f"/v1/files/{FILE}/content", FILE),
        (f"/v1/vector_stores/{VECTOR}/files/{FILE}", VECTOR),
        ("/v1/files?after=file-BK7bzQj3FfZF&limit=2", FILE),
        ("/v1beta/files/abc", "files/abc"),
        ("/v1beta/cachedContents/abc:something", "cachedContents/abc"),
        ("/v1/files/file%2DBK7bzQj3FfZF", FILE),
        ("/api/v1/generation?id=gen-1759000000-abc", "gen-1759000000-abc"),
    ],
)
def test_ids_in_a_path(target: str, named: str) -> None:
    assert named in references.of_path(target)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"object": "file", "id": FILE}, (FILE,)),
        ({"data": [{"id": FILE}, {"id": "batch_1234567890"}]}, (FILE, "batch_1234567890")),
        ({"id": "batch_1234567890", "output_file_id": FILE}, ("batch_1234567890", FILE)),
        ({"annotations": [{"container_id": "cntr_123456789"}]}, ("cntr_123456789",)),
        ({"file": {"name": "files/f1", "displayName": "a/b"}}, ("files/f1",)),
        ({"name": "models/gemini-3"}, ()),
        ({"id": "pptx", "name": "My assistant", "user_id": "user-1234567890"}, ()),
        ({"id": None, "text": '"id": "file-BK7bzQj3FfZF"'}, ()),
    ],
)
def test_ids_in_an_answer(answer: dict[str, Any], expected: tuple[str, ...]) -> None:
    """Only what was generated: the skill `pptx` is everybody's."""
    assert references.made(json.dumps(answer).encode()) == expected


@given(st.binary(), st.sampled_from([b"", b'"file_id": "', b'"item_reference"', b'"file_ids": [', b'{"id": "']))
def test_any_bytes(body: bytes, mark: bytes) -> None:
    """Total, and bounded."""
    for made in (mark + body, body + mark + body):
        for dialect in Dialect:
            assert len(references.nested(made, dialect)) <= references.MOST
        assert len(references.made(made)) <= references.MOST


@given(st.text())
def test_any_path(target: str) -> None:
    assert len(references.of_path(target)) <= references.MOST


@pytest.mark.parametrize(
    ("value", "expected"),
    [("resp_1", "resp_1"), ({"id": "conv_1"}, "conv_1"), ({"id": 1}, ""), (None, ""), ([], ""), ("x" * 301, "")],
)
def test_a_field_with_an_id(value: object, expected: str) -> None:
    assert references.id_of(value) == expected
