"""One accepted connection: bytes in and out, the moment the peer leaves, and the ways to end it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct

from mitm_balancer.testing.ledger import now

HEAD_LIMIT = 1 << 20
"""Bytes of one request head or chunk line; far above what any client sends."""
TLS_SHUTDOWN = 0.2
"""Seconds to wait for the peer's close_notify: a peer that ignores ours must still see the FIN."""
BEFORE_RESET = 0.02
"""Seconds between the last write and a reset, so that what was written has been delivered: a reset discards it."""

_LINGER_ZERO = struct.pack("ii", 1, 0)


class ClientGoneError(Exception):
    """The peer closed the connection, or the stream, while we still had something to say."""


class Presence:
    """Whether the peer is still there; `left_at` is `time.monotonic()` seconds."""

    def __init__(self) -> None:
        self._left = asyncio.Event()
        self.left_at: float | None = None

    def leave(self) -> None:
        if self.left_at is None:
            self.left_at = now()
            self._left.set()

    def check(self) -> None:
        if self.left_at is not None:
            raise ClientGoneError

    async def pause(self, seconds: float) -> None:
        """Sleep, or raise ClientGoneError as soon as the peer leaves."""
        self.check()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._left.wait(), seconds)
            raise ClientGoneError


class _Protocol(asyncio.StreamReaderProtocol):
    """A stream protocol that says when the peer leaves, even while nobody reads."""

    def __init__(self, reader: asyncio.StreamReader, presence: Presence) -> None:
        super().__init__(reader)
        self._presence = presence

    def eof_received(self) -> bool | None:
        self._presence.leave()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._presence.leave()
        super().connection_lost(exc)


class Wire:
    """Made by `accept`. Everything written counts on the peer being there and raises ClientGoneError otherwise."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, presence: Presence) -> None:
        self.reader = reader
        self.presence = presence
        self._writer = writer
        self._socket: socket.socket = writer.get_extra_info("socket")  # a closed TLS transport cannot be asked
        tls = writer.get_extra_info("ssl_object")
        self.alpn: str | None = tls.selected_alpn_protocol() if tls is not None else None
        """What TLS agreed on, if anything."""

    async def write(self, data: bytes) -> None:
        self.presence.check()
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError as gone:
            raise ClientGoneError from gone

    async def reset(self) -> None:
        """RST: the peer reads what was written before, then ECONNRESET."""
        await asyncio.sleep(BEFORE_RESET)
        self.abort()

    def abort(self) -> None:
        """RST at once; nothing happens when the connection is over already."""
        if self._socket.fileno() >= 0:
            abort_socket(self._socket)
        self._writer.transport.abort()

    async def close(self) -> None:
        """An orderly end: what was written, TLS close_notify, FIN."""
        self._writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self._writer.wait_closed()


def abort_socket(connection: socket.socket) -> None:
    """Make the coming close of this socket a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)


async def accept(connection: socket.socket, context: ssl.SSLContext | None) -> Wire:
    """Take over an accepted socket; raises OSError (ssl.SSLError among them) when the handshake fails."""
    loop = asyncio.get_running_loop()
    reader, presence = asyncio.StreamReader(HEAD_LIMIT), Presence()
    protocol = _Protocol(reader, presence)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol,
        connection,
        ssl=context,
        ssl_shutdown_timeout=None if context is None else TLS_SHUTDOWN,
    )
    # So that `drain` waits for every byte. Not high=0: asyncio's TLS transport then pauses and never resumes.
    transport.set_write_buffer_limits(high=1, low=0)
    return Wire(reader, asyncio.StreamWriter(transport, protocol, reader, loop), presence)
