"""The one interface between an attempt and the network: send -> head -> chunks.

`pool.Pool` speaks HTTP/1.1 to real providers, `fake.FakeUpstream` answers from a script; nothing above this file knows
which one it has. All header names and values are bytes as they stand on the wire, in order, duplicates kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from mitm_balancer.core.verdict import Sent

type RawHeaders = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request goes: one pool bucket."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class WireRequest:
    """Exactly what is written: the only object that ever holds a credential on its way to the provider."""

    origin: Origin
    method: bytes
    target: bytes
    """Origin-form: path and query."""
    headers: RawHeaders = field(repr=False)
    body: bytes | AsyncIterator[bytes] = field(default=b"", repr=False)
    """An iterator is sent chunk by chunk and cannot be replayed."""
    fresh: bool = False
    """On a connection that nothing was sent on before: one that idled may be dead, and of what is sent on it nobody
    knows whether it arrived."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None means no limit."""

    connect: float | None = 10.0
    """Name lookup, TCP, proxy CONNECT and TLS together."""
    head: float | None = 600.0
    """From the last byte of the request to the last byte of the response head."""
    idle: float | None = 300.0
    """Between two reads of the body."""

    def with_head(self, seconds: float) -> Timeouts:
        """The same, with another limit for the head."""
        return Timeouts(self.connect, seconds, self.idle)


@dataclass(slots=True)
class ConnInfo:
    """What mitmproxy shows of the upstream (DESIGN 3.4). Times are `time.time()` seconds."""

    origin: Origin
    peername: tuple[str, int] | None = None
    sockname: tuple[str, int] | None = None
    tls_version: str | None = None
    cipher: str | None = None
    alpn: bytes | None = None
    certificate_der: tuple[bytes, ...] = ()
    started: float = 0.0
    connected: float | None = None
    tls_done: float | None = None
    reused: bool = False


class UpstreamError(Exception):
    """The attempt ended without a usable answer.

    `stage` is `connect`, `tls`, `write`, `head`, `body` or `proxy`; `sent` says how much of the request had left;
    `timeout` that a limit of ours ended it. The text is for people and never holds request data.
    """

    def __init__(self, stage: str, message: str, *, sent: Sent, timeout: bool = False) -> None:
        super().__init__(message)
        self.stage = stage
        self.sent = sent
        self.timeout = timeout


class UpstreamResponse(Protocol):
    """The head of an answer, and its body as it arrives."""

    status: int
    reason: bytes
    http_version: bytes
    headers: RawHeaders
    trailers: RawHeaders
    info: ConnInfo

    async def read(self) -> bytes:
        """The next bytes of the body (transfer coding removed, content coding kept); b"" at its clean end.

        Raises UpstreamError(stage="body") when the body is cut or idles too long.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the body has ended, else abort it at once. Safe to call twice."""
        ...


class Upstream(Protocol):
    """What sends attempts."""

    async def send(self, request: WireRequest, timeouts: Timeouts) -> UpstreamResponse:
        """Send, and wait for the final head (1xx are skipped). Raises UpstreamError. Cancelling aborts at once."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
