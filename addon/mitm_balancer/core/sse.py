"""Streams cut into events, for reading only: the bytes that pass through are never these.

Two framings, one interface (`feed`, `eof`): server-sent events, and JSON values one after the other (a Gemini stream
without `alt=sse` is one JSON array; NDJSON and a plain JSON body read the same way). Whatever way a stream is chunked,
the events are the same. An event is read up to `MAX_EVENT`; a longer one comes truncated and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

MAX_EVENT = 1024 * 1024
"""Bytes of one event that are kept for reading."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream, or one comment line of it."""

    name: str = ""
    """The `event:` field; empty when there is none."""
    data: bytes = b""
    """The `data:` lines joined by line feeds, or one JSON object."""
    comment: str | None = None
    """The text after the colon, when this is a comment line."""
    truncated: bool = False


class Splitter(Protocol):
    """Incremental: bytes in, whole events out."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that end in this chunk."""
        ...

    def eof(self) -> list[Event]:
        """What was left without its end marker: most clients still read it."""
        ...


def splitter(content_type: str) -> Splitter:
    """The framing of a response with this content type: JSON only where it says so, else server-sent events."""
    media = content_type.partition(";")[0].strip().lower()
    return JsonSplitter() if media.endswith("json") else SseSplitter()


class SseSplitter:
    """Server-sent events: LF, CRLF or CR line ends, comments, a byte order mark, data in several lines."""

    __slots__ = ("_data", "_line", "_name", "_seen", "_size", "_skip_lf", "_truncated")

    def __init__(self) -> None:
        self._line = bytearray()
        self._skip_lf = False
        self._seen = False
        self._truncated = False
        self._reset()

    def feed(self, chunk: bytes) -> list[Event]:
        if self._skip_lf and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skip_lf = False
        if not chunk:
            return []
        self._skip_lf = chunk.endswith(b"\r")  # an LF that follows belongs to it
        *ended, rest = _LINE_END.split(chunk)
        events: list[Event] = []
        for part in ended:
            self._keep(part)
            self._end_line(events)
        self._keep(rest)
        return events

    def eof(self) -> list[Event]:
        events: list[Event] = []
        if self._line:
            self._end_line(events)
        self._end_line(events)
        return events

    def _keep(self, part: bytes) -> None:
        room = MAX_EVENT - len(self._line)
        self._truncated = self._truncated or len(part) > room
        self._line += part[:room]

    def _end_line(self, events: list[Event]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if not self._seen:
            self._seen = True
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
        elif line.startswith(b":"):
            events.append(Event(comment=line[1:].strip().decode("utf-8", "replace")))
        else:
            field, _, value = line.partition(b":")
            self._field(field, value.removeprefix(b" "))

    def _field(self, field: bytes, value: bytes) -> None:
        if field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field == b"data":
            room = max(0, MAX_EVENT - self._size)
            self._truncated = self._truncated or len(value) > room
            self._data.append(value[:room])
            self._size += len(value) + 1

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            events.append(Event(self._name, b"\n".join(self._data), truncated=self._truncated))
        self._reset()

    def _reset(self) -> None:
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._truncated = False


class JsonSplitter:
    """Every outermost JSON object, whether they stand in an array, in lines, or alone."""

    __slots__ = ("_depth", "_escaped", "_object", "_quoted", "_truncated")

    _OUTSIDE = re.compile(rb'["{}]')
    _QUOTED = re.compile(rb'["\\]')

    def __init__(self) -> None:
        self._object = bytearray()
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._truncated = False

    @property
    def inside(self) -> bool:
        """Whether the bytes so far end inside an object."""
        return bool(self._depth)

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        start = position = 0
        if self._escaped and chunk:
            self._escaped, position = False, 1
        while mark := (self._QUOTED if self._quoted else self._OUTSIDE).search(chunk, position):
            position = mark.end()
            match mark.group():
                case b'"':
                    self._quoted = not self._quoted
                case b"\\":
                    self._escaped = position == len(chunk)
                    position += 1
                case b"{":
                    start = start if self._depth else mark.start()
                    self._depth += 1
                case _:
                    start = self._close(chunk, start, position, events)
        if self._depth:
            self._keep(chunk[start:])
        return events

    def eof(self) -> list[Event]:
        left, self._depth = bytes(self._object), 0
        self._object.clear()
        return [Event(data=left, truncated=True)] if left else []

    def _close(self, chunk: bytes, start: int, end: int, events: list[Event]) -> int:
        """One brace fewer; an object that is complete becomes an event. Returns where the next part starts."""
        if not self._depth:
            return end
        self._depth -= 1
        if self._depth:
            return start
        self._keep(chunk[start:end])
        events.append(Event(data=bytes(self._object), truncated=self._truncated))
        self._object.clear()
        self._truncated = False
        return end

    def _keep(self, part: bytes) -> None:
        room = MAX_EVENT - len(self._object)
        self._truncated = self._truncated or len(part) > room
        self._object += part[:room]


_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")


class Cutter:
    """Server-sent events with their bytes, for one who passes on whole events only."""

    def __init__(self) -> None:
        self.rest = b""
        """What came of an event that has not ended."""

    def feed(self, chunk: bytes) -> list[tuple[bytes, list[Event]]]:
        """The events that end in this chunk: as they came, and as they read (comments are events too)."""
        data, at = self.rest + chunk, 0
        found: list[tuple[bytes, list[Event]]] = []
        for end in _EVENT_END.finditer(data):
            raw, at = data[at : end.end()], end.end()
            found.append((raw, SseSplitter().feed(raw)))
        self.rest = data[at:]
        return found
