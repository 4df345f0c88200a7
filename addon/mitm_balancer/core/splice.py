"""Changing one string inside a JSON body without touching another byte (DESIGN section 4.3: never re-serialise).

The body is scanned, not parsed: values that are not on the way are skipped token by token. Anything that is not the
JSON that was expected leaves the body as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR = re.compile(rb"[^,}\]\s]+")
_NEXT = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class _NotJsonError(ValueError):
    """The body is not what was expected."""


def find_string(body: bytes, path: Sequence[str]) -> tuple[int, int] | None:
    """Where the string value at `path` (keys of nested objects) stands, quotes included; None: there is none."""
    try:
        start = _skip_space(body, 0)
        for depth, key in enumerate(path):
            found = _value_of(body, start, key)
            if found is None:
                return None
            start = found
            if depth == len(path) - 1:
                match = _STRING.match(body, start)
                return match.span() if match is not None else None
    except (_NotJsonError, IndexError):
        return None
    return None


def read_string(body: bytes, path: Sequence[str]) -> str | None:
    """The string at `path`, or None."""
    span = find_string(body, path)
    if span is None:
        return None
    try:
        value = json.loads(body[span[0] : span[1]])
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def put_string(body: bytes, path: Sequence[str], value: str) -> bytes:
    """The body with the string at `path` replaced; the same body when there is no string there."""
    span = find_string(body, path)
    if span is None:
        return body
    return body[: span[0]] + json.dumps(value).encode() + body[span[1] :]


def _value_of(body: bytes, start: int, key: str) -> int | None:
    """Where the value of `key` begins in the object that begins at `start`."""
    if body[start : start + 1] != b"{":
        return None
    at = _skip_space(body, start + 1)
    while body[at : at + 1] == b'"':
        name = _STRING.match(body, at)
        if name is None:
            raise _NotJsonError
        at = _skip_space(body, name.end())
        if body[at : at + 1] != b":":
            raise _NotJsonError
        at = _skip_space(body, at + 1)
        if _same(name[0], key):
            return at
        at = _skip_space(body, _skip_value(body, at))
        if body[at : at + 1] != b",":
            return None
        at = _skip_space(body, at + 1)
    return None


def _same(quoted: bytes, key: str) -> bool:
    if b"\\" not in quoted:
        return quoted[1:-1] == key.encode()
    try:
        return bool(json.loads(quoted) == key)
    except ValueError:
        return False


def _skip_space(body: bytes, at: int) -> int:
    match = _SPACE.match(body, at)
    return match.end() if match is not None else at


def _skip_value(body: bytes, at: int) -> int:
    first = body[at : at + 1]
    if first not in (b"{", b"["):
        match = (_STRING if first == b'"' else _SCALAR).match(body, at)
        if match is None:
            raise _NotJsonError
        return match.end()
    depth = 0
    for token in _NEXT.finditer(body, at):
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return token.end()
    raise _NotJsonError
