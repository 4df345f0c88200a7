"""A step: what the fake provider does with one request, as data. `steps` has the short names for the usual ones."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Any

from mitm_balancer.testing.voices import Fault

FOREVER = 3600.0
"""Seconds of silence that outlast any test."""
BEFORE_START = -1
"""Position in a stream: nothing after the response head has been sent."""
AFTER_START = 0
"""Position in a stream: the opening events (`message_start`, `response.created`, ...) have been sent."""


class CutHow(enum.StrEnum):
    FIN = "fin"
    """An orderly end of the connection where the message is not over."""
    RST = "rst"


class Trouble(enum.StrEnum):
    """What goes wrong inside an answer that began with 200."""

    ERROR = "error"
    """An error event in the dialect; nothing follows it. Not streamed: the same error as a status."""
    FIN = "fin"
    RST = "rst"
    STALL = "stall"
    """Silence, then a reset."""
    MALFORMED = "malformed"
    """One event with broken JSON, then the stream goes on. Not streamed: a JSON text that is cut."""
    NO_END = "no_end"
    """The terminal event is missing, though the message ends properly. Streams only."""


class Framing(enum.StrEnum):
    AUTO = "auto"
    """A stream is chunked, anything else has a content-length."""
    CHUNKED = "chunked"
    LENGTH = "length"
    EOF = "eof"
    """The end of the connection ends the body, as in HTTP/1.0."""


class Closing(enum.StrEnum):
    """What becomes of the connection after the answer."""

    KEEP = "keep"
    ANNOUNCED = "announced"
    """`connection: close` in the head, then closed."""
    SILENT = "silent"
    """Closed without having said so."""


@dataclass(frozen=True, slots=True)
class Step:
    """All times are seconds. Fields that do not fit the request (a stream's for a plain body) have no effect."""

    name: str = "ok"
    bills: bool = True
    """The provider works on the request and charges for it, so the ledger counts an accepted generation (P5)."""

    # Before the head
    info: tuple[int, ...] = ()
    """Informational responses that come first."""
    silence: float = 0.0
    """After the whole request has been read."""
    cut: CutHow | None = None
    """The end, instead of a head."""
    raw: tuple[bytes, ...] = ()
    """Written as they are, instead of any answer; then the connection is closed. HTTP/1.1 only."""

    # The head
    fault: Fault | None = None
    """An error status in the provider's own shape."""
    status: int | None = None
    """Instead of the fault's or 200."""
    body: bytes | None = None
    """Instead of what the dialect would say."""
    headers: tuple[tuple[str, str], ...] = ()
    """Written in this order and casing, duplicates too; they replace default headers of the same name."""
    framing: Framing = Framing.AUTO
    coding: str = ""
    """`gzip`, or none."""
    closing: Closing = Closing.KEEP
    trailers: tuple[tuple[str, str], ...] = ()
    """Chunked framing only."""

    # The body
    text: str | None = None
    """None: the account's label and a running number per event, `work:0 work:1 `."""
    events: int = 3
    """Content events of a stream."""
    giant: int = 0
    """This many bytes of text in the second content event: one line."""
    body_bytes: int = 0
    """Pad the answer to exactly this many bytes (not streamed)."""
    head_pause: float = 0.0
    """Between the head and what follows."""
    gap: float = 0.0
    """Between two content events."""
    pings: int = 0
    ping_gap: float = 0.0
    """Before each ping."""
    pings_at: int = AFTER_START
    split: int = 0
    """Cut every event into writes of this many bytes."""
    trouble: Trouble | None = None
    after: int = AFTER_START
    """Where in the stream the trouble comes: a position, or the number of content events before it."""
    trouble_fault: Fault | None = None
    """What an error event says."""
    stall: float = FOREVER

    def but(self, **changes: Any) -> Step:
        """The same step with other fields."""
        return replace(self, **changes)
