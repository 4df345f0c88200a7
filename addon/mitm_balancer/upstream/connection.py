"""One HTTP/1.1 connection to a provider: raw head out, parsed head in, body as it arrives.

Why not a client library: the provider must see the client's head byte for byte (order, casing, duplicates), the
attempt must know how much had left when a connection died (P5), and a streamed chunk must cost one callback. The
parser is llhttp (httptools), the parser of node.js; the transport, TLS included, is asyncio's.

States: idle (in the pool) -> busy (one exchange) -> idle, or closed. Bytes or an EOF while idle close it.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import ConnInfo, Timeouts, UpstreamError, WireRequest
from mitm_balancer.upstream.framing import frame, frame_chunk, is_chunked, serialise_head
from mitm_balancer.upstream.response import Http1Response

WRITE_SLICE = 64 * 1024
"""Bytes of a large body per write. Between two writes the transport may say that it has enough, and an early refusal is
noticed; a whole body in one write would, under TLS, be encrypted at once and pass for sent."""


class Connection(asyncio.Protocol):
    """A connected socket. `exchange` runs one request; `reusable` tells whether another may follow."""

    def __init__(self, info: ConnInfo, loop: asyncio.AbstractEventLoop) -> None:
        self.info = info
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.close_reason: Exception | None = None
        self.idle_since = 0.0
        self.epoch = 0
        """The pool's mark: under which of its settings this connection was made."""
        self.response: Http1Response | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's derive from no class of asyncio's

    def data_received(self, data: bytes) -> None:
        if self.response is None:
            self.abort()  # nobody asked: a timeout page of the server, or garbage
        else:
            self.response.feed(data)

    def eof_received(self) -> bool:
        return False  # the transport closes itself; connection_lost follows

    def connection_lost(self, exc: Exception | None) -> None:
        if self.closed and exc is None:
            exc = ConnectionAbortedError("aborted")  # by us: not the end of an answer
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

    @property
    def stale(self) -> bool:
        """For an idle connection: an end or stray bytes wait in the kernel, and the loop has not come to them yet."""
        sock = None if self.transport is None else self.transport.get_extra_info("socket")
        return sock is None or _hung_up(sock.fileno(), self.info.origin.scheme == "https")

    async def exchange(self, request: WireRequest, timeouts: Timeouts) -> Http1Response:
        """Send and wait for the final head. Raises UpstreamError; a failed or cancelled exchange aborts the connection
        unless nothing was written."""
        head = serialise_head(request)
        response = Http1Response(self, request.method == b"HEAD", timeouts.idle)
        self.response = response
        try:
            await self._send(head, request, response, timeouts.head)
            await response.wait_head(timeouts.head)
        except BaseException:
            self.abort()
            raise
        return response

    def unsent(self) -> bool:
        """Whether part of what was written is still in this process."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    async def _send(self, head: bytes, request: WireRequest, response: Http1Response, limit: float | None) -> None:
        assert self.transport is not None
        if not self.reusable:
            raise UpstreamError("connect", "the connection closed before the request was sent", sent=Sent.NOTHING)
        chunked = is_chunked(request.headers)
        if not isinstance(request.body, bytes):
            self.transport.write(head)
            await self._upload(request.body, chunked, response, limit)
            return
        body = frame(request.body, chunked)
        if len(body) <= WRITE_SLICE:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            for start in range(0, len(body), WRITE_SLICE):
                self.transport.write(memoryview(body)[start : start + WRITE_SLICE])
                await self._drained(response, limit)
                if response.refused.is_set():
                    return  # refused or lost before the upload was over: exchange() goes on with that
        response.upload_done = True
        await self._drained(response, limit)

    async def _drained(self, response: Http1Response, limit: float | None) -> None:
        """Wait until the transport wants more; an early refusal ends the wait. `limit`: seconds without progress."""
        if self._can_write.is_set() or response.refused.is_set():
            return
        writable = asyncio.ensure_future(self._can_write.wait())
        refused = asyncio.ensure_future(response.refused.wait())
        try:
            done, _ = await asyncio.wait((writable, refused), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writable.cancel()
            refused.cancel()
        if not done:
            why = f"the provider took nothing for {limit:g} s"
            raise UpstreamError("write", why, sent=Sent.PARTIAL, timeout=True)

    async def _upload(
        self, body: AsyncIterator[bytes], chunked: bool, response: Http1Response, limit: float | None
    ) -> None:
        assert self.transport is not None
        while (chunk := await _next(body, response)) is not None:
            self.transport.write(frame_chunk(chunk) if chunked else chunk)
            await self._drained(response, limit)
        if response.refused.is_set():
            if isinstance(body, AsyncGenerator):
                await body.aclose()  # its source is told now, not when it is collected
            return
        if chunked:
            self.transport.write(b"0\r\n\r\n")
        response.upload_done = True


async def _next(body: AsyncIterator[bytes], response: Http1Response) -> bytes | None:
    """The next chunk to send; None when there is none, or when the answer has made it pointless."""
    if response.refused.is_set():
        return None
    chunk = asyncio.ensure_future(anext(body, None))
    refused = asyncio.ensure_future(response.refused.wait())
    try:
        await asyncio.wait((chunk, refused), return_when=asyncio.FIRST_COMPLETED)
        return chunk.result() if chunk.done() else None
    finally:
        refused.cancel()
        if not chunk.done():
            chunk.cancel()
            await asyncio.wait((chunk,))  # the iterator must have let go before anybody else reads from its source


def _hung_up(fd: int, secure: bool) -> bool:
    """Whether the peer has closed or has said something. Under TLS 1.3 unread bytes may be session tickets, which are
    no fault; Linux tells the end apart from them."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([fd], [], [], 0)[0])
    end = getattr(select, "POLLRDHUP", select.POLLIN)
    poll = select.poll()
    poll.register(fd, end if secure else end | select.POLLIN)
    return bool(poll.poll(0))
