"""Usage in a body that is no watched stream: a copy of its end is kept, for that is where every dialect puts it.

Keeping costs nothing but a reference to each chunk; nothing is read before the body has ended.
"""

from __future__ import annotations

import json
import re
from collections import deque

from mitm_balancer.core import decoding
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.providers.usage import Usage, usage_of

KEPT = 64 * 1024
"""Bytes of the end that are kept and read. Images and embeddings come before the usage (wire-facts 23)."""

KEPT_COMPRESSED = 256 * 1024
"""A compressed body can only be read from its beginning: longer ones are not read at all."""

MAX_DECODED = 1024 * 1024

_PLAIN = ("", "identity")
_decoder = json.JSONDecoder()


class BodyEnd:
    """Feed it every byte of the body, in order; ask it at the end."""

    __slots__ = ("_cut", "_encoding", "_parts", "_size")

    def __init__(self, content_encoding: str = "") -> None:
        self._encoding = content_encoding.strip().lower()
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._cut = False

    def feed(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > KEPT:
            self._shorten()

    def usage(self, dialect: Dialect) -> Usage | None:
        """None: the end says nothing of it, or is not here."""
        body = b"".join(self._parts)
        if self._encoding not in _PLAIN:
            body = decoding.decode(body, self._encoding, limit=MAX_DECODED)
        whole = None if self._cut or len(body) > KEPT else usage_of(dialect, body)
        return whole or _usage_at_end(dialect, body[-KEPT:])

    def _shorten(self) -> None:
        if self._encoding in _PLAIN:
            while self._size - len(self._parts[0]) >= KEPT:
                self._size -= len(self._parts.popleft())
                self._cut = True
        elif self._size > KEPT_COMPRESSED:
            self._parts.clear()
            self._cut = True


_NAME = {dialect: "usageMetadata" if dialect is Dialect.GEMINI else "usage" for dialect in Dialect}
_OPENING = re.compile(rb'"\s*:\s*\{')


def _usage_at_end(dialect: Dialect, body: bytes) -> Usage | None:
    """The last object under the dialect's key: what text quotes has its quotation marks escaped, so it is no key."""
    name = _NAME[dialect]
    key, at = f'"{name}'.encode(), len(body)
    while (at := body.rfind(key, 0, at)) >= 0:
        opening = _OPENING.match(body, at + len(key))
        if opening is None:
            continue
        try:
            value, _ = _decoder.raw_decode(body[opening.end() - 1 :].decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        return usage_of(dialect, json.dumps({name: value}).encode())
    return None
