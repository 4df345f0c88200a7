"""A server on loopback that does to the byte what a test says: each accepted connection runs the test's script."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType

from mitm_balancer.upstream.base import Origin, RawHeaders, Timeouts, UpstreamResponse, WireRequest

PATIENCE = 5.0
"""Seconds that a test waits for what must come."""

LIMITS = Timeouts(connect=PATIENCE, head=PATIENCE, idle=PATIENCE)


class Peer:
    """An accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def head(self) -> bytes:
        """The next request's head, as it was written."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)

    async def exactly(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), PATIENCE)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> bytes:
        """What still came until the client left; fails when it stays."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(-1), PATIENCE)
        return b""

    def reset(self) -> None:
        """RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


type Script = Callable[[Peer], Awaitable[None]]


class RawServer:
    """`async with RawServer(script) as server`. At the end it hangs up; an exception in a script fails the test."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script, self.context = script, context
        self.accepted = 0
        self.problems: list[BaseException] = []
        self._running: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> RawServer:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await asyncio.sleep(0.01)  # what the client did last arrives
        for task, writer in list(self._running.items()):
            if error is None:
                writer.transport.abort()
            else:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, PATIENCE)
        await asyncio.sleep(0)
        if error is None and self.problems:
            raise self.problems[0]

    def origin(self, host: str = "127.0.0.1") -> Origin:
        return Origin("http" if self.context is None else "https", host, self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running[task] = writer
        self.accepted += 1
        try:
            await self.script(Peer(reader, writer))
        except Exception as e:  # noqa: BLE001  (told at the end)
            self.problems.append(e)
        finally:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await asyncio.wait_for(writer.wait_closed(), PATIENCE)
            self._running.pop(task)


def answer(body: bytes = b"ok", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer with a content-length."""
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def serve(*answers: bytes) -> Script:
    """Answer the connection's requests (without bodies) with these, in turn, then wait for the client to leave."""

    async def script(peer: Peer) -> None:
        for data in answers:
            await peer.head()
            await peer.send(data)
        await peer.gone()

    return script


async def echo_ok(peer: Peer) -> None:
    """Answer every request, on every connection, until the client leaves."""
    while True:
        try:
            await peer.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        await peer.send(answer())


def get(origin: Origin, *, method: bytes = b"GET", headers: RawHeaders = ((b"host", b"x"),)) -> WireRequest:
    return WireRequest(origin, method, b"/", headers)


async def body_of(response: UpstreamResponse) -> bytes:
    """The whole body; the response is closed."""
    parts = []
    try:
        while data := await response.read():
            parts.append(data)
    finally:
        response.close()
    return b"".join(parts)
