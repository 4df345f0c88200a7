"""Changing one string, or taking elements out of arrays, inside a JSON body without touching another byte (DESIGN
section 4.3: never re-serialise).

The body is scanned, not parsed: values that are not on the way are skipped token by token. Anything that is not the
JSON that was expected leaves the body as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence

type Span = tuple[int, int]
"""From the first byte to behind the last."""

_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR = re.compile(rb"[^,}\]\s]+")
_NEXT = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class _NotJsonError(ValueError):
    """The body is not what was expected."""


def find_string(body: bytes, path: Sequence[str]) -> Span | None:
    """Where the string value at `path` (keys of nested objects) stands, quotes included; None: there is none."""
    start = find_value(body, path)
    match = None if start is None else _STRING.match(body, start)
    return None if match is None else match.span()


def find_value(body: bytes, path: Sequence[str], start: int = 0) -> int | None:
    """Where the value at `path` below the one that begins at `start` begins; None: there is none."""
    try:
        at: int | None = _skip_space(body, start)
        for key in path:
            at = None if at is None else _value_of(body, at, key)
    except _NotJsonError:
        return None
    return at


def elements(body: bytes, start: int) -> list[Span] | None:
    """The elements of the array that begins at `start`; None: no array begins there, or it does not end."""
    if body[start : start + 1] != b"[":
        return None
    found: list[Span] = []
    at = _skip_space(body, start + 1)
    if body[at : at + 1] == b"]":
        return found
    try:
        while True:
            end = _skip_value(body, at)
            found.append((at, end))
            at = _skip_space(body, end)
            if body[at : at + 1] == b"]":
                return found
            if body[at : at + 1] != b",":
                return None
            at = _skip_space(body, at + 1)
    except _NotJsonError:
        return None


def cuts(array: Sequence[Span], doomed: Collection[int]) -> list[Span]:
    """What must go so that the elements with the numbers in `doomed` are gone, and each with one of its commas."""
    kept = [number for number in range(len(array)) if number not in doomed]
    if not array or len(kept) == len(array):
        return []
    if not kept:
        return [(array[0][0], array[-1][1])]
    found = [] if kept[0] == 0 else [(array[0][0], array[kept[0]][0])]
    for number, following in zip(kept, [*kept[1:], len(array)], strict=True):
        if following - number > 1:
            found.append((array[number][1], array[following - 1][1]))
    return found


def without(body: bytes, spans: Iterable[Span]) -> bytes:
    """The body without these spans, which do not overlap."""
    parts: list[bytes] = []
    at = 0
    for start, end in sorted(spans):
        parts.append(body[at:start])
        at = end
    return b"".join([*parts, body[at:]])


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
