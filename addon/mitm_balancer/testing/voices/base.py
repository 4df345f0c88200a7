"""The words that the four dialects share: error kinds, frames, and the interface of a voice."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any, Protocol

from mitm_balancer.testing.ask import Ask

INPUT_TOKENS = 12
"""What every fake answer says that the request had."""


class ErrorKind(enum.StrEnum):
    """A fault in no dialect yet; each voice says it in its provider's words (wire-facts sections x.4)."""

    RATE_LIMIT = "rate_limit"
    BARE_429 = "bare_429"
    """A 429 that says nothing of a window."""
    QUOTA = "quota"
    """A used-up plan or balance that answers 429."""
    PAYMENT = "payment"
    AUTH = "auth"
    PERMISSION = "permission"
    REGION = "region"
    MODEL = "model"
    INVALID = "invalid"
    CONTEXT = "context"
    POLICY = "policy"
    TOO_LARGE = "too_large"
    SERVER = "server"
    BAD_GATEWAY = "bad_gateway"
    UNAVAILABLE = "unavailable"
    GATEWAY_TIMEOUT = "gateway_timeout"
    OVERLOADED = "overloaded"


KIND_OF_STATUS = {
    400: ErrorKind.INVALID,
    401: ErrorKind.AUTH,
    402: ErrorKind.PAYMENT,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.MODEL,
    413: ErrorKind.TOO_LARGE,
    429: ErrorKind.RATE_LIMIT,
    500: ErrorKind.SERVER,
    502: ErrorKind.BAD_GATEWAY,
    503: ErrorKind.UNAVAILABLE,
    504: ErrorKind.GATEWAY_TIMEOUT,
    529: ErrorKind.OVERLOADED,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """An error to be said: its kind, and the pushback in seconds if the provider states one."""

    kind: ErrorKind
    wait: float | None = None
    message: str | None = None
    """Instead of the provider's usual text."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """The fault as a whole response."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Frames:
    """A streamed answer, one entry per event. `end[-1]` is the terminal event where the dialect has one."""

    start: tuple[bytes, ...]
    content: tuple[bytes, ...]
    end: tuple[bytes, ...]


class Voice(Protocol):
    """How one dialect says things."""

    ping: bytes
    """What keeps the stream alive and means nothing."""
    malformed: bytes
    """A content event whose JSON is cut."""

    def frames(self, ask: Ask, texts: tuple[str, ...]) -> Frames: ...

    def body(self, ask: Ask, text: str) -> bytes: ...

    def count(self) -> bytes: ...

    def models(self) -> bytes: ...

    def error(self, ask: Ask, fault: Fault) -> ErrorAnswer: ...

    def error_frame(self, ask: Ask, fault: Fault) -> bytes: ...

    def headers(self, ask: Ask) -> tuple[tuple[str, str], ...]:
        """What the provider adds to every answer."""
        ...


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def data_frame(value: Any) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + dump(value) + b"\n\n"


def named_frame(value: dict[str, Any]) -> bytes:
    """A server-sent event named after its own `type`."""
    return b"event: " + str(value["type"]).encode() + b"\n" + data_frame(value)


def seconds_text(wait: float) -> str:
    """`3` rather than `3.0`: `retry-after` is a whole number wherever it can be."""
    return str(int(wait)) if wait == int(wait) else str(wait)
