"""The answer of one exchange: llhttp's callbacks on one side, `UpstreamResponse` on the other."""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING

import httptools

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import RawHeaders, UpstreamError
from mitm_balancer.upstream.framing import has_length, is_chunked

if TYPE_CHECKING:
    from mitm_balancer.upstream.connection import Connection

READ_HIGH_WATER = 256 * 1024
"""Bytes of body held for a slow reader before the socket is paused (asyncio's own stream default is 64 KiB x 2)."""

MAX_HEAD = 256 * 1024
"""Bytes of response head. node.js allows 16 KiB, nginx 32 KiB; providers with large cookies stay far below."""

_BODILESS = frozenset({204, 304})


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
        self.refused = asyncio.Event()
        """Nothing more need be sent: a final head that is no success, or a failure."""
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
        clean = self._ended and self._error is None and self.upload_done and not connection.unsent()
        if not (clean and self._keep_alive and connection.reusable):
            connection.abort()
        self.on_release()

    def on_release(self) -> None:
        """Replaced by the pool: takes the connection back."""

    def write(self, data: bytes) -> None:
        """After a 101: bytes for the provider."""
        if self._connection.reusable and self._connection.transport is not None:
            self._connection.transport.write(data)

    async def wait_head(self, limit: float | None) -> None:
        """Wait for the final head. Raises UpstreamError(stage="head")."""
        loop = self._connection.loop
        if not self._head_done and self._error is None:
            self._head_waiter = loop.create_future()
            timer = None if limit is None else loop.call_later(limit, self._head_timeout, limit)
            try:
                await self._head_waiter
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
        self.refused.set()
        if self._ended:
            return
        if self._head_done and exc is None and (self._until_eof or self.upgraded):
            self._end(keep_alive=False)
            return
        what = "the provider closed the connection" if exc is None else f"connection lost: {exc}"
        self._fail(UpstreamError(self._stage(), what, sent=self._sent()))

    # -- httptools callbacks ------------------------------------------------------------------------------------

    # What comes after the end (a second answer that nobody asked for) must not touch the first.

    def on_message_begin(self) -> None:
        if self._ended:
            self._keep_alive = False

    def on_status(self, status: bytes) -> None:
        if not self._ended:
            self.reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._ended or (100 <= status < 200 and status != 101):
            return  # an interim answer: on_message_complete clears it
        self.status = status
        self.http_version = b"HTTP/" + self._parser.get_http_version().encode()
        self.headers = tuple(self._fields)
        self._fields = []
        self._head_done = True
        self._keep_alive = self._parser.should_keep_alive()
        self._until_eof = not (
            self._head_request or status in _BODILESS or is_chunked(self.headers) or has_length(self.headers)
        )
        if self._head_request:
            self._end(keep_alive=self._keep_alive)
        if status >= 300:
            self.refused.set()
        self._head_is_known()

    def on_body(self, body: bytes) -> None:
        if self._ended:
            self._keep_alive = False
            return
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > READ_HIGH_WATER and not self._paused and self._connection.transport is not None:
            self._paused = True
            self._connection.transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if self._ended:
            return
        if not self._head_done:
            self.reason = b""
            self._fields = []
            return
        if not self.upgraded and self.status != 101:
            self.trailers = tuple(self._fields)
            self._end(keep_alive=self._keep_alive)

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
        self.refused.set()
        self._head_is_known()
        self._wake()

    def _head_is_known(self) -> None:
        if self._head_waiter is not None and not self._head_waiter.done():
            self._head_waiter.set_result(None)

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
