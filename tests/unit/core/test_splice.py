"""Splices change exactly the bytes meant."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.splice import find_string, put_string, read_string

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(before=st.dictionaries(st.text(max_size=5), values), new=st.text(), indent=st.sampled_from([None, 2]))
def test_replaced_where_it_stands_and_nowhere_else(before: dict, new: str, indent: int | None):
    """The document with the string replaced is the document that a re-serialiser would have made, byte for byte."""
    document = {**before, "project": "old"}
    body = json.dumps(document, indent=indent).encode()
    expected = json.loads(body) | {"project": new}

    spliced = put_string(body, ("project",), new)

    start, end = find_string(body, ("project",))
    assert json.loads(spliced) == expected
    assert spliced.startswith(body[:start])
    assert spliced.endswith(body[end:])


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_left_alone(body: bytes):
    """What is not the JSON that was expected comes back as it went in."""
    if read_string(body, ("metadata", "user_id")) is None:
        assert put_string(body, ("metadata", "user_id"), "x") == body


@pytest.mark.parametrize(
    ("body", "path", "found"),
    [
        (b'{"metadata":{"user_id":"a"}}', ("metadata", "user_id"), "a"),
        (b' { "a" : [ {"user_id":"no"} ] , "metadata" : { "user_id" : "y\\"es" } } ', ("metadata", "user_id"), 'y"es'),
        (b'{"text":"\\"project\\":\\"fake\\"","project":"real"}', ("project",), "real"),
        (b'{"\\u0070roject":"escaped"}', ("project",), "escaped"),
        (b'{"project":7}', ("project",), None),
        (b'{"project":null,"x":"y"}', ("project",), None),
        (b'[{"project":"in a list"}]', ("project",), None),
        (b'{"a":{"project":"nested"}}', ("project",), None),
        (b'{"project":"cut', ("project",), None),
        (b"", ("project",), None),
    ],
)  # fmt: skip
def test_found_at_its_own_level_only(body: bytes, path: tuple[str, ...], found: str | None):
    """Only a string at exactly that path counts; text that looks like it does not."""
    assert read_string(body, path) == found
