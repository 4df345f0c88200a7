"""One HTTP/1.1 connection to a provider: raw head out, parsed head in, body as it arrives.

Why not a client library: the provider must see the client's head byte for byte (order, casing, duplicates), the
attempt must know how much had left when a connection died (P5), and a streamed chunk must cost one callback. The
parser is llhttp (httptools), the parser of node.js; the transport, TLS included, is asyncio's.

States: idle (in the pool) -> busy (one exchange) -> idle, or closed. Bytes or an EOF while idle close it.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator
from typing import Any

import httptools

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import ConnInfo, RawHeaders, Timeouts, UpstreamError, WireRequest

READ_HIGH_WATER = 256 * 1024
"""Bytes of body held for a slow reader before the socket is paused (asyncio's own stream default is 64 KiB x 2)."""

READ_LOW_WATER = 64 * 1024

MAX_HEAD = 256 * 1024
"""Bytes of response head. node.js allows 16 KiB, nginx 32 KiB; providers with large cookies stay far below."""

_BODILESS = frozenset({204, 304})


class Connection(asyncio.Protocol):
    """A connected socket. `exchange` runs one request; `reusable` tells whether another may follow."""

    def __init__(self, info: ConnInfo, loop: asyncio.AbstractEventLoop) -> None:
        self.info = info
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.close_reason: Exception | None = None
        self.idle_since = 0.0
        self.response: Http1Response | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.response is None:
            self.abort()  # nobody asked: a timeout page of the server, or garbage
        else:
            self.response.feed(data)

    def eof_received(self) -> bool:
        return False  # the transport closes itself; connection_lost follows

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.close_reason = exc
        self._can_write.set()
        if self.response is not None:
            self.response.connection_lost(exc)

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    # -- for the pool -------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """Drop it at once; a provider that streams sees a reset."""
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    @property
    def reusable(self) -> bool:
        return not self.closed and self.transport is not None and not self.transport.is_closing()

    async def exchange(self, request: WireRequest, timeouts: Timeouts) -> Http1Response:
        """Send and wait for the final head. Raises UpstreamError; a cancelled exchange aborts the connection."""
        response = Http1Response(self, request.method == b"HEAD", timeouts.idle)
        self.response = response
        try:
            await self._send(request, response)
            await response.wait_head(timeouts.head)
        except BaseException:
            self.abort()
            raise
        return response

    def unsent(self) -> bool:
        """Whether part of what was written is still in this process."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    async def _send(self, request: WireRequest, response: Http1Response) -> None:
        assert self.transport is not None
        if not self.reusable:
            raise UpstreamError("connect", "the connection closed before the request was sent", sent=Sent.NOTHING)
        head = serialise_head(request)
        chunked = is_chunked(request.headers)
        if isinstance(request.body, bytes):
            self.transport.write(head + frame(request.body, chunked) if request.body or chunked else head)
            response.upload_done = True
            if not self._can_write.is_set():
                await self._drained(response)
        else:
            self.transport.write(head)
            await self._upload(request.body, chunked, response)

    async def _drained(self, response: Http1Response) -> None:
        """Wait until the transport took it all; a head that comes first (an early refusal) ends the wait."""
        while not self._can_write.is_set() and not response.head_known:
            writable = asyncio.ensure_future(self._can_write.wait())
            waiters: list[asyncio.Future[Any]] = [writable, response.head_waiter()]
            try:
                await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            finally:
                writable.cancel()

    async def _upload(self, body: AsyncIterator[bytes], chunked: bool, response: Http1Response) -> None:
        assert self.transport is not None
        async for chunk in body:
            if response.head_known or self.closed:
                return  # answered or lost before the upload was over: exchange() goes on with that
            self.transport.write(frame_chunk(chunk) if chunked else chunk)
            if not self._can_write.is_set():
                await self._drained(response)
        if chunked and not response.head_known:
            self.transport.write(b"0\r\n\r\n")
        response.upload_done = True


class Http1Response:
    """The answer of one exchange (`UpstreamResponse`). `read` gives what has arrived, joined, at once."""

    def __init__(self, connection: Connection, head_request: bool, idle: float | None) -> None:
        self.status = 0
        self.reason = b""
        self.http_version = b"HTTP/1.1"
        self.headers: RawHeaders = ()
        self.trailers: RawHeaders = ()
        self.info = connection.info
        self.upload_done = False
        self.upgraded = False
        self._connection = connection
        self._idle = idle
        self._head_request = head_request
        self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._head_done = False
        self._head_waiter: asyncio.Future[None] | None = None
        self._chunks: collections.deque[bytes] = collections.deque()
        self._buffered = 0
        self._paused = False
        self._ended = False
        self._until_eof = False
        self._keep_alive = False
        self._error: UpstreamError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._released = False

    # -- what the caller uses -----------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`."""
        while True:
            if self._chunks:
                return self._take()
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            await self._wait_data()

    def close(self) -> None:
        """See `UpstreamResponse.close`."""
        if self._released:
            return
        self._released = True
        connection = self._connection
        connection.response = None
        if not (self._ended and self._keep_alive and self.upload_done and connection.reusable):
            connection.abort()
        self.on_release()

    def on_release(self) -> None:
        """Replaced by the pool: takes the connection back."""

    def write(self, data: bytes) -> None:
        """After a 101: bytes for the provider."""
        if self._connection.reusable and self._connection.transport is not None:
            self._connection.transport.write(data)

    @property
    def head_known(self) -> bool:
        return self._head_done or self._error is not None

    def head_waiter(self) -> asyncio.Future[None]:
        """A future that is done when the head is there or the exchange has failed."""
        if self._head_waiter is None or self._head_waiter.cancelled():
            self._head_waiter = self._connection.loop.create_future()
            if self.head_known:
                self._head_waiter.set_result(None)
        return self._head_waiter

    async def wait_head(self, limit: float | None) -> None:
        """Wait for the final head. Raises UpstreamError(stage="head")."""
        if not self.head_known:
            timer = None if limit is None else self._connection.loop.call_later(limit, self._head_timeout, limit)
            try:
                await self.head_waiter()
            finally:
                if timer is not None:
                    timer.cancel()
        if not self._head_done:
            assert self._error is not None
            raise self._error

    # -- from the connection ------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        if self.upgraded:
            self.on_body(data)
            return
        try:
            if not self._head_done:
                self._head_bytes += len(data)
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as e:
            self.upgraded = True
            rest = data[e.args[0] :]
            if rest:
                self.on_body(rest)
        except httptools.HttpParserError as e:
            self._fail(UpstreamError(self._stage(), f"not HTTP: {e}", sent=Sent.ALL))
            self._connection.abort()
        if not self._head_done and self._head_bytes > MAX_HEAD:
            self._fail(UpstreamError("head", f"response head over {MAX_HEAD} bytes", sent=Sent.ALL))
            self._connection.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ended:
            return
        if self._head_done and exc is None and (self._until_eof or self.upgraded):
            self._end(keep_alive=False)
            return
        what = "the provider closed the connection" if exc is None else f"connection lost: {exc}"
        self._fail(UpstreamError(self._stage(), what, sent=self._sent()))

    # -- httptools callbacks ------------------------------------------------------------------------------------

    def on_status(self, status: bytes) -> None:
        self.reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return  # an interim answer: on_message_complete clears it
        self.status = status
        self.http_version = b"HTTP/" + self._parser.get_http_version().encode()
        self.headers = tuple(self._fields)
        self._fields = []
        self._head_done = True
        self._keep_alive = self._parser.should_keep_alive()
        self._until_eof = not (
            self._head_request or status in _BODILESS or is_chunked(self.headers) or _has_length(self.headers)
        )
        if self._head_request:
            self._end(keep_alive=self._keep_alive)
        if self._head_waiter is not None and not self._head_waiter.done():
            self._head_waiter.set_result(None)

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > READ_HIGH_WATER and not self._paused and self._connection.transport is not None:
            self._paused = True
            self._connection.transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if not self._head_done:
            self.reason = b""
            self._fields = []
            return
        if not self.upgraded and self.status != 101:
            self.trailers = tuple(self._fields)
            self._end(keep_alive=self._keep_alive)

    def on_message_begin(self) -> None:
        if self._ended:
            self._keep_alive = False  # a second answer that nobody asked for

    # -- inside -------------------------------------------------------------------------------------------------

    def _take(self) -> bytes:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._paused and not self._connection.closed and self._connection.transport is not None:
            self._paused = False
            self._connection.transport.resume_reading()
        return data

    async def _wait_data(self) -> None:
        loop = self._connection.loop
        self._reader = loop.create_future()
        timer = None if self._idle is None else loop.call_later(self._idle, self._idle_timeout)
        try:
            await self._reader
        finally:
            self._reader = None
            if timer is not None:
                timer.cancel()

    def _end(self, *, keep_alive: bool) -> None:
        self._ended = True
        self._keep_alive = keep_alive
        self._wake()

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None and not self._ended:
            self._error = error
        if self._head_waiter is not None and not self._head_waiter.done():
            self._head_waiter.set_result(None)
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _stage(self) -> str:
        return "body" if self._head_done else "head"

    def _sent(self) -> Sent:
        return Sent.ALL if self.upload_done and not self._connection.unsent() else Sent.PARTIAL

    def _head_timeout(self, limit: float) -> None:
        self._fail(UpstreamError("head", f"no response head within {limit:g} s", sent=self._sent(), timeout=True))

    def _idle_timeout(self) -> None:
        self._fail(UpstreamError("body", f"silent for {self._idle:g} s", sent=Sent.ALL, timeout=True))


def serialise_head(request: WireRequest) -> bytes:
    """The request line and fields as given. Raises ValueError when a value could smuggle a line."""
    lines = [b"%s %s HTTP/1.1\r\n" % (request.method, request.target)]
    lines += [b"%s: %s\r\n" % field for field in request.headers]
    lines.append(b"\r\n")
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise ValueError("a header of the request holds CR, LF or NUL")
    return head


def is_chunked(headers: RawHeaders) -> bool:
    return any(name.lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in headers)


def frame(body: bytes, chunked: bool) -> bytes:
    if not chunked:
        return body
    return (frame_chunk(body) if body else b"") + b"0\r\n\r\n"


def frame_chunk(chunk: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunk else b""


def _has_length(headers: RawHeaders) -> bool:
    return any(name.lower() == b"content-length" for name, _ in headers)
