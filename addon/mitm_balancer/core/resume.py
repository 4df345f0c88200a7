"""Going on with a stream that broke after its first byte (the contract's `resume`).

Only plain text can be gone on with: a tool call, a thought or the end of the text in what the client has rules it out.

    replay    the same request once more; what its answer repeats is left out, and where it says something else, the
              client is told that its answer broke
    continue  the request with what the client has as the beginning of the answer, which the model then goes on with

The Responses API has no way: its last event repeats the whole answer under ids of its own.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.meaning import Meaning, meaning
from mitm_balancer.core.splice import elements, find_value, read_string
from mitm_balancer.core.sse import Event

LONGEST = 512 * 1024
"""Characters of text that are kept; a longer answer is not gone on with."""


class Way(enum.StrEnum):
    """How to go on."""

    REPLAY = "replay"
    CONTINUE = "continue"


class DivergedError(Exception):
    """The second answer is not the first one's continuation."""


class _Kind(enum.Enum):
    OPENING = enum.auto()
    """Announces an answer: the client has had it."""
    TEXT = enum.auto()
    CLOSING = enum.auto()
    """The text is whole."""
    OTHER = enum.auto()
    """A tool call, a thought, another block."""
    CLASH = enum.auto()
    """The same in the place of the text."""


@dataclass(frozen=True, slots=True)
class _Part:
    kind: _Kind
    text: str = ""


class Script:
    """What the client has of one answer, and how the events of a second one go on from there."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._read = _READERS.get(dialect)
        self._text: list[str] = []
        self._length = 0
        self._open = self._read is not None
        self._expected = ""
        self._strict = True

    @property
    def text(self) -> str:
        """The text that the client has."""
        return "".join(self._text)

    @property
    def resumable(self) -> bool:
        """Whether it has nothing but the beginning of a text."""
        return self._open and 0 < self._length <= LONGEST

    def saw(self, event: Event) -> None:
        """The client gets this event."""
        part = self._part(event)
        if part is None:
            return
        self._open = self._open and part.kind in (_Kind.OPENING, _Kind.TEXT)
        self._length += len(part.text)
        if self._length <= LONGEST:
            self._text.append(part.text)

    def request(self, way: Way, body: bytes) -> bytes | None:
        """The body of the second request; None: it cannot be made. Call it once, then `onto`."""
        text = self.text
        if way is Way.REPLAY:
            self._expected, self._strict = text, True
            return body
        # Anthropic refuses an answer's beginning that ends in white space; the model says it again, or does not.
        begun = text.rstrip()
        self._expected, self._strict = text[len(begun) :], False
        return _with_beginning(self.dialect, body, begun) if begun else None

    def onto(self, event: Event, raw: bytes) -> bytes:
        """What of the second answer's event goes to the client. Raises DivergedError."""
        part = self._part(event)
        if part is None:
            return b"" if event.comment is not None else raw
        if part.kind is _Kind.OPENING:
            return b""
        if part.kind is _Kind.TEXT:
            return self._rest(event, part.text, raw)
        if part.kind is _Kind.CLASH or (self._expected and self._strict):
            raise DivergedError("the second answer differs from what had been sent")
        return raw

    def _rest(self, event: Event, text: str, raw: bytes) -> bytes:
        """The event without what the client has."""
        had, self._expected = self._expected, ""
        if not had:
            return raw
        if text.startswith(had):
            return _with_text(self.dialect, event, text[len(had) :]) if len(text) > len(had) else b""
        if had.startswith(text):
            self._expected = had[len(text) :]
            return b""
        if self._strict:
            raise DivergedError("the second answer differs from what had been sent")
        return raw

    def _part(self, event: Event) -> _Part | None:
        """None for what is no part of an answer: comments, pings, end markers."""
        if self._read is None or event.comment is not None or not event.data.startswith(b"{"):
            return None
        if event.truncated or meaning(self.dialect, event) is Meaning.ERROR:
            return _Part(_Kind.CLASH)
        try:
            return self._read(json.loads(event.data))
        except (AttributeError, LookupError, TypeError, ValueError):
            return _Part(_Kind.CLASH)  # of no shape that we know: it passes, and nothing goes on from there


def _anthropic(value: dict[str, Any]) -> _Part | None:
    kind, first = value.get("type"), value.get("index") == 0
    if kind == "ping":
        return None
    if kind == "message_start":
        return _Part(_Kind.OPENING)
    if kind == "content_block_start":
        block = value.get("content_block") or {}
        if first and block.get("type") == "text" and not block.get("text"):
            return _Part(_Kind.OPENING)
    elif kind == "content_block_delta":
        delta = value.get("delta") or {}
        if first and delta.get("type") == "text_delta":
            return _Part(_Kind.TEXT, str(delta.get("text", "")))
    elif kind in ("content_block_stop", "message_delta", "message_stop"):
        return _Part(_Kind.CLOSING)
    return _Part(_Kind.CLASH if first else _Kind.OTHER)


def _chat(value: dict[str, Any]) -> _Part | None:
    choices = value.get("choices")
    if not choices:
        return _Part(_Kind.CLOSING) if value.get("usage") else _Part(_Kind.OPENING)
    if len(choices) > 1 or choices[0].get("index", 0) != 0:
        return _Part(_Kind.CLASH)
    delta = choices[0].get("delta") or {}
    if choices[0].get("finish_reason"):
        return _Part(_Kind.CLOSING, str(delta.get("content") or ""))
    said = {name for name, item in delta.items() if item and name not in ("role", "content")}
    if said:
        return _Part(_Kind.OTHER)
    text = delta.get("content")
    return _Part(_Kind.TEXT, str(text)) if text else _Part(_Kind.OPENING)


def _gemini(value: dict[str, Any]) -> _Part | None:
    frame = value.get("response") if isinstance(value.get("response"), dict) else value
    assert isinstance(frame, dict)
    candidates = frame.get("candidates") or []
    if not candidates:
        return _Part(_Kind.OPENING)
    if len(candidates) > 1:
        return _Part(_Kind.CLASH)
    parts = (candidates[0].get("content") or {}).get("parts") or []
    if candidates[0].get("finishReason"):
        return _Part(_Kind.CLOSING)
    if any(set(part) != {"text"} for part in parts):
        return _Part(_Kind.OTHER)
    text = "".join(str(part["text"]) for part in parts)
    return _Part(_Kind.TEXT, text) if text else _Part(_Kind.OPENING)


_READERS: dict[Dialect, Callable[[dict[str, Any]], _Part | None]] = {
    Dialect.ANTHROPIC_MESSAGES: _anthropic,
    Dialect.OPENAI_CHAT: _chat,
    Dialect.GEMINI: _gemini,
}


def _with_text(dialect: Dialect, event: Event, text: str) -> bytes:
    value = json.loads(event.data)
    match dialect:
        case Dialect.ANTHROPIC_MESSAGES:
            value["delta"]["text"] = text
        case Dialect.OPENAI_CHAT:
            value["choices"][0]["delta"]["content"] = text
        case _:
            frame = value["response"] if isinstance(value.get("response"), dict) else value
            frame["candidates"][0]["content"]["parts"] = [{"text": text}]
    head = f"event: {event.name}\n" if event.name else ""
    return f"{head}data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _with_beginning(dialect: Dialect, body: bytes, text: str) -> bytes | None:
    """The request with one more message: the answer's beginning, in the answering role. No other byte changes."""
    if dialect is Dialect.GEMINI:
        paths: tuple[tuple[str, ...], ...] = (("contents",), ("request", "contents"))
        role, message = "model", {"role": "model", "parts": [{"text": text}]}
    else:
        paths, role, message = (("messages",),), "assistant", {"role": "assistant", "content": text}
    start = next((at for path in paths if (at := find_value(body, path)) is not None), None)
    turns = None if start is None else elements(body, start)
    if not turns:
        return None
    first, end = turns[-1]
    if read_string(body[first:end], ["role"]) == role:
        return None  # it has begun an answer of its own
    return body[:end] + b"," + json.dumps(message, ensure_ascii=False).encode() + body[end:]
