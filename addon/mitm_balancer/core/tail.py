"""The tail: a committed stream is watched for usage, its terminal event and errors, at almost no cost per chunk.

A delta event is neither split nor parsed: only when one of the dialect's few literal marks occurs among the bytes of
an event is that event looked at. Inside JSON strings quotes are escaped, so a model that prints such text cannot fake
what is then searched for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mitm_balancer.core.decoding import Decoder
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.meaning import Meaning, meaning
from mitm_balancer.core.sse import MAX_EVENT, Event, JsonSplitter, SseSplitter, splitter

_LONGEST_MARK = 32


@dataclass(frozen=True, slots=True)
class _Marks:
    """What to look for in one dialect."""

    literal: tuple[bytes, ...]
    """An event with none of these is never looked at."""
    usage: re.Pattern[bytes]
    terminal: re.Pattern[bytes]


_MARKS = {
    Dialect.ANTHROPIC_MESSAGES: _Marks(
        (b'"usage"', b"message_stop", b'"error"', b"event: error", b"event:error"),
        re.compile(rb'"usage"\s*:\s*\{'),
        re.compile(rb'"type"\s*:\s*"message_stop"'),
    ),
    Dialect.OPENAI_CHAT: _Marks(
        (b'"usage":{', b'"usage": {', b"[DONE]", b'"error"', b'"finish_reason":"',
         b'"finish_reason": "', b"base_resp"),
        re.compile(rb'"usage"\s*:\s*\{'),
        # After a finish reason the answer is whole, whether or not the end marker follows.
        re.compile(rb'^\s*\[DONE\]|"finish_reason"\s*:\s*"'),
    ),
    Dialect.OPENAI_RESPONSES: _Marks(
        (b"response.completed", b"response.incomplete", b"response.failed", b"response.done", b'"error"',
         b"codex.rate_limits", b'"usage":{', b'"usage": {'),
        re.compile(rb'"usage"\s*:\s*\{'),
        re.compile(rb'"type"\s*:\s*"response\.(completed|incomplete|failed|done)"'),
    ),
    Dialect.GEMINI: _Marks(
        (b'"usageMetadata"', b'"finishReason"', b'"error"', b'"blockReason"'),
        re.compile(rb'"usageMetadata"\s*:\s*\{'),
        re.compile(rb'"(finishReason|blockReason)"\s*:\s*"'),
    ),
}  # fmt: skip

_RATE_LIMITS = re.compile(rb'"type"\s*:\s*"codex\.rate_limits"')
_BOUNDARIES = (b"\n\n", b"\n\r\n", b"\r\r")


class Tail:
    """Feed it every byte of the body, in order; ask it at the end."""

    __slots__ = (
        "_decoder", "_hot", "_json", "_marks", "_rest", "_skipping",
        "dialect", "error", "first_usage", "last_usage", "rate_limits", "saw_terminal",
    )  # fmt: skip

    def __init__(self, dialect: Dialect, *, content_type: str = "", content_encoding: str = "") -> None:
        self.dialect = dialect
        self._marks = _MARKS[dialect]
        framing = splitter(content_type)
        self._json = framing if isinstance(framing, JsonSplitter) else None
        self._decoder = Decoder(content_encoding)
        self._rest = bytearray()
        self._hot = False
        self._skipping = False
        self.saw_terminal = False
        """The answer is whole: the dialect's end was seen. Without it the stream was cut (wire-facts 1.5)."""
        self.error: bytes | None = None
        """The data of the first error event, for `classify_event`."""
        self.first_usage: bytes = b""
        """The data of the first event with usage numbers: Anthropic's `message_start` has the input side."""
        self.last_usage: bytes = b""
        """The data of the last one: usage is cumulative everywhere (wire-facts 23)."""
        self.rate_limits: bytes = b""
        """The data of the last `codex.rate_limits` frame."""

    @property
    def readable(self) -> bool:
        """False: the content coding is unknown here, so nothing can be said about the end of this stream."""
        return not self._decoder.blind

    @property
    def mid_event(self) -> bool:
        """The bytes so far end inside an event: what is appended must end that one first (JSON framing: it cannot)."""
        if self._json is not None:
            return self._json.inside
        return bool(self._rest.strip(b"\r\n")) or self._skipping

    def feed(self, chunk: bytes) -> None:
        """Watch these bytes go by."""
        data = self._decoder.feed(chunk)
        if self._json is not None:
            self._feed_json(self._json, data)
            return
        if not self._rest and data[-2:] == b"\n\n" and self._unmarked(data):
            return  # whole events without a mark: nearly every chunk of a stream
        before = len(self._rest)
        self._rest += data
        if self._skipping:
            if not self._resume():
                return
            before = 0
        self._hot = self._hot or self._marked(max(0, before - _LONGEST_MARK))
        cut = self._boundary(max(0, before - 3))
        if cut:
            self._end_events(cut)
        elif len(self._rest) > MAX_EVENT:
            self._skip()

    def eof(self) -> None:
        """The body has ended: an event without its blank line still counts."""
        if self._json is not None:
            self._watch(self._json.eof())
        elif self._rest and not self._skipping:
            split = SseSplitter()
            self._watch([*split.feed(bytes(self._rest)), *split.eof()])

    def frame(self, data: bytes) -> None:
        """Watch one text frame of a WebSocket."""
        self._watch([Event(data=data)])

    def _feed_json(self, split: JsonSplitter, data: bytes) -> None:
        """A plain JSON body is whole when its object is; a Gemini array says so in its last element."""
        events = split.feed(data)
        self._watch(events)
        if events and self.dialect is not Dialect.GEMINI:
            self.saw_terminal = True

    def _skip(self) -> None:
        """An event too long to be read: its type stands at its beginning, so its end of stream is not missed."""
        if not self._skipping and self._marks.terminal.search(self._rest, 0, 4096):
            self.saw_terminal = True
        self._skipping = True
        del self._rest[:-_LONGEST_MARK]

    def _resume(self) -> bool:
        """Whether the event that is too long has ended; it is dropped as far as it is here."""
        ends = [at + len(blank) for blank in _BOUNDARIES if (at := self._rest.find(blank)) >= 0]
        self._skipping = not ends
        self._hot = False
        del self._rest[: min(ends, default=max(0, len(self._rest) - _LONGEST_MARK))]
        return bool(ends)

    def _end_events(self, cut: int) -> None:
        if self._hot:
            self._watch(SseSplitter().feed(bytes(self._rest[:cut])))
        del self._rest[:cut]
        self._hot = self._marked(0)

    def _unmarked(self, data: bytes) -> bool:
        # A loop, for any() costs twice as much and this runs for every chunk.
        for mark in self._marks.literal:  # noqa: SIM110
            if mark in data:
                return False
        return True

    def _marked(self, start: int) -> bool:
        rest = self._rest
        return any(rest.find(mark, start) >= 0 for mark in self._marks.literal)

    def _boundary(self, start: int) -> int:
        """Where the last complete event ends, or 0."""
        ends = ((self._rest.rfind(blank, start), len(blank)) for blank in _BOUNDARIES)
        return max(at + size if at >= 0 else 0 for at, size in ends)

    def _watch(self, events: list[Event]) -> None:
        for event in events:
            if event.data and (event.name == "error" or any(mark in event.data for mark in self._marks.literal)):
                self._inspect(event)

    def _inspect(self, event: Event) -> None:
        data = event.data
        if self._marks.usage.search(data):
            self.first_usage = self.first_usage or data
            self.last_usage = data
        if _RATE_LIMITS.search(data):
            self.rate_limits = data
        if self._marks.terminal.search(data):
            self.saw_terminal = True
        suspect = event.name == "error" or b'"error"' in data or b"base_resp" in data
        if self.error is None and suspect and meaning(self.dialect, event) is Meaning.ERROR:
            self.error = data
