"""The gauge of one answer: where its tokens are read, once it has ended."""

from __future__ import annotations

import json

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.tail import Tail
from mitm_balancer.providers.usage import Usage, usage_of
from mitm_balancer.usage.body_end import BodyEnd

_TEXTUAL = ("application/json", "text/event-stream")
"""Bodies that can speak of usage; audio, images and files cannot."""


class Gauge:
    """Over a stream that is watched by a `Tail` it asks that one; over any other body it keeps the end."""

    __slots__ = ("_body", "_dialect", "tail")

    def __init__(
        self, dialect: Dialect, tail: Tail | None, *, content_type: str = "", content_encoding: str = ""
    ) -> None:
        self._dialect = dialect
        self.tail = tail
        textual = content_type.strip().lower().startswith(_TEXTUAL)
        self._body = BodyEnd(content_encoding) if tail is None and textual else None

    def feed(self, data: bytes) -> None:
        """A part of the body; of a watched stream nothing is kept."""
        if self._body is not None:
            self._body.feed(data)

    def usage(self) -> Usage | None:
        """The tokens so far; None: it has not told any. Total."""
        if self.tail is not None:
            return usage_of(self._dialect, self.tail.first_usage, self.tail.last_usage)
        return None if self._body is None else self._body.usage(self._dialect)


def ended_in_socket(dialect: Dialect, tail: Tail) -> tuple[Usage, str] | None:
    """Tokens and model of the answer that the last frame of a socket has ended, told once; None: it ended none."""
    if not tail.saw_terminal:
        return None
    first, last = tail.first_usage, tail.last_usage
    tail.saw_terminal, tail.first_usage, tail.last_usage = False, b"", b""
    usage = usage_of(dialect, first, last)
    return None if usage is None else (usage, _model(last))


def _model(event: bytes) -> str:
    """A handshake names no model, the end of the answer does."""
    try:
        found = json.loads(event)["response"]["model"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    return found if isinstance(found, str) else ""
