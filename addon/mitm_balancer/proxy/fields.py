"""Looking up header fields: mitmproxy's own mapping lowers every name at each look, which was a tenth of a request."""

from __future__ import annotations

from collections.abc import Iterable

type Fields = Iterable[tuple[bytes, bytes]]


def first(fields: Fields, name: bytes) -> bytes | None:
    """The first value of a field; `name` is lower case."""
    size = len(name)
    for field, value in fields:
        if len(field) == size and field.lower() == name:
            return value
    return None


def lowered(fields: Fields) -> dict[bytes, bytes]:
    """First values by lower-case name, for one who asks for many."""
    found: dict[bytes, bytes] = {}
    for field, value in fields:
        found.setdefault(field.lower(), value)
    return found


def text(value: bytes | None) -> str:
    """As mitmproxy shows a value; "" for none."""
    return "" if value is None else value.decode("utf-8", "surrogateescape")
