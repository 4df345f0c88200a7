"""Splitters: the events of a stream, whatever its chunks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import WHOLE, cut, halves

from mitm_balancer.core.sse import MAX_EVENT, Event, JsonSplitter, SseSplitter, splitter


def events(data: bytes) -> list[Event]:
    split = SseSplitter()
    return [*split.feed(data), *split.eof()]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_all_line_ends(end: bytes) -> None:
    stream = end.join(
        [b": hi", b"event: a", b"data: 1", b"data:2", b"", b"data", b"", b"id: 3", b"", b"data: 4", b"", b""]
    )
    expected = [Event(comment="hi"), Event("a", b"1\n2"), Event("", b""), Event("", b"4")]
    assert events(stream) == expected


def test_a_byte_order_mark_goes() -> None:
    assert events(b"\xef\xbb\xbfdata: 1\n\n") == [Event(data=b"1")]


def test_an_event_without_its_blank_line_comes_at_the_end() -> None:
    split = SseSplitter()
    assert split.feed(b"data: [DONE]") == []
    assert split.eof() == [Event(data=b"[DONE]")]
    assert split.eof() == []


def test_only_one_space_belongs_to_the_field() -> None:
    assert events(b"data:   x \n\n") == [Event(data=b"  x ")]


def test_a_gigantic_line_is_bounded() -> None:
    """In one chunk or in many, the event is kept up to the bound, and the next one is whole."""
    big = b"data: " + b"x" * (MAX_EVENT + 5000) + b"\n\ndata: next\n\n"
    one, many = events(big), SseSplitter()
    found = [event for start in range(0, len(big), 7919) for event in many.feed(big[start : start + 7919])]
    assert found == one
    assert one[0].truncated and len(one[0].data) <= MAX_EVENT
    assert one[1] == Event(data=b"next")


def test_many_data_lines_are_bounded() -> None:
    found = events(b"data: " + (b"y" * 1000 + b"\ndata: ") * 2000 + b"\n\n")
    assert len(found) == 1 and found[0].truncated
    assert len(found[0].data) < MAX_EVENT + 4000


@pytest.mark.parametrize(
    "stream", [b"\xef\xbb\xbf: a\r\n\r\ndata: 1\r\ndata: 2\r\n\r\nevent: x\rdata: 3\r\rdata: 4\n\n", *WHOLE.values()]
)
def test_every_cut_gives_the_same_events(stream: bytes) -> None:
    for parts in halves(stream):
        split = SseSplitter()
        found = [event for part in parts for event in split.feed(part)]
        assert [*found, *split.eof()] == events(stream), parts


@pytest.mark.parametrize("stream", [b'[{"a":"\\"}{"},{"b":{"c":"\\\\"}}]', b'{"a":1}\n{"b":"\xc3\xa4"}'])
def test_every_cut_gives_the_same_objects(stream: bytes) -> None:
    expected = JsonSplitter().feed(stream)
    assert len(expected) == 2
    for parts in halves(stream):
        split = JsonSplitter()
        assert [event for part in parts for event in split.feed(part)] == expected, parts


@given(st.data(), st.sampled_from([*WHOLE.values(), b": a\r\n\r\ndata: 1\r\ndata: 2\r\n\r\nevent: x\rdata: 3\r\r"]))
def test_any_chunking_gives_the_same_events(data: st.DataObject, stream: bytes) -> None:
    split = SseSplitter()
    found = [event for part in data.draw(cut(stream)) for event in split.feed(part)]
    assert [*found, *split.eof()] == events(stream)


@given(st.data(), st.binary(max_size=200) | st.text('data: \r\n\\{}[]"ev', max_size=80).map(str.encode))
def test_any_bytes_any_chunking(data: st.DataObject, stream: bytes) -> None:
    """Both splitters are total, and blind to chunk borders."""
    parts = data.draw(cut(stream))
    for make in (SseSplitter, JsonSplitter):
        whole, split = make(), make()
        expected = [*whole.feed(stream), *whole.eof()]
        assert [*(event for part in parts for event in split.feed(part)), *split.eof()] == expected


VALUES = st.dictionaries(st.text(max_size=4), st.text('a"\\{}[],', max_size=8) | st.lists(st.integers(), max_size=2))


@given(
    st.data(), st.lists(VALUES, max_size=4), st.sampled_from(["[%s]", "%s", "\n\n [ %s"]), st.sampled_from([",", "\n"])
)
def test_json_objects_are_found(data: st.DataObject, values: list[dict[str, object]], form: str, between: str) -> None:
    """An array, lines, or a stream that was cut before its closing bracket."""
    stream = (form % between.join(json.dumps(value) for value in values)).encode()
    split = JsonSplitter()
    found = [event for part in data.draw(cut(stream)) for event in split.feed(part)]
    assert [json.loads(event.data) for event in found] == values
    assert split.eof() == [] and not split.inside


def test_a_cut_object_is_marked() -> None:
    split = JsonSplitter()
    assert split.feed(b'[{"a": {"b": "}') == []
    assert split.inside
    assert split.eof() == [Event(data=b'{"a": {"b": "}', truncated=True)]


def test_the_content_type_tells_the_framing() -> None:
    assert isinstance(splitter("application/json; charset=UTF-8"), JsonSplitter)
    assert isinstance(splitter("application/x-ndjson"), JsonSplitter)
    assert isinstance(splitter("text/event-stream"), SseSplitter)
    assert isinstance(splitter(""), SseSplitter)
