"""An HTTP/1.1 client by hand: exact bytes out, exact bytes in with their arrival times, directly or through a proxy.

async with await RawClient.open("api.anthropic.com", 443, proxy=("127.0.0.1", 8080), context=trusting) as client:
    answer = await client.request("POST", "/v1/messages", headers, body)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

LIMIT = 1 << 22

type Pairs = Sequence[tuple[str, str]]


@dataclass(slots=True)
class RawAnswer:
    """What came back. Times are `time.monotonic()` seconds."""

    status: int
    raw_head: bytes
    headers: list[tuple[bytes, bytes]]
    informational: list[bytes] = field(default_factory=list)
    """The raw heads of the 1xx responses that came first."""
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    """Of the body: HTTP chunks as they were cut, or reads where the body is not chunked."""
    trailers: bytes = b""
    complete: bool = False
    """The body came to its proper end."""
    error: str = ""
    """`eof` or `reset` when it did not."""
    head_at: float = 0.0

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in self.chunks)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        """Every value of that header, in order."""
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == name.lower().encode()]

    def header(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    @property
    def chunked(self) -> bool:
        return "chunked" in (self.header("transfer-encoding") or "").lower()


class ProxyRefusedError(Exception):
    """The CONNECT was not answered with 200; the text is the raw head."""


class RawClient:
    """One connection, for one request after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader, self.writer, self.host = reader, writer, host

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        *,
        proxy: tuple[str, int] | None = None,
        context: ssl.SSLContext | None = None,
        connect_headers: Pairs = (),
    ) -> Self:
        """Connect; `host` is what TLS verifies and the Host header says. Without a context it stays plain."""
        reader, writer = await asyncio.open_connection(*(proxy or (host, port)), limit=LIMIT)
        if proxy is not None and context is not None:
            extra = "".join(f"{name}: {value}\r\n" for name, value in connect_headers)
            writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{extra}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                writer.close()
                raise ProxyRefusedError(head.decode("latin-1"))
        if context is not None:
            await writer.start_tls(context, server_hostname=host)
        return cls(reader, writer, host if port == 443 else f"{host}:{port}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Orderly."""
        self.writer.close()
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), 1)

    def abort(self) -> None:
        """RST at once: a client that dies."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """These bytes and no others."""
        self.writer.write(data)
        await self.writer.drain()

    async def start(self, method: str, target: str, headers: Pairs = (), body: bytes | None = None) -> None:
        """Send a request; Host comes first, content-length is added when there is a body and no framing header."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}", *(f"{name}: {value}" for name, value in headers)]
        framed = {name.lower() for name, _ in headers} & {"content-length", "transfer-encoding"}
        if body is not None and not framed:
            lines.append(f"Content-Length: {len(body)}")
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b""))

    async def request(self, method: str, target: str, headers: Pairs = (), body: bytes | None = None) -> RawAnswer:
        """Send, and read the whole answer."""
        await self.start(method, target, headers, body)
        return await self.read_answer(method)

    async def read_answer(self, method: str = "GET") -> RawAnswer:
        """Raises IncompleteReadError or ConnectionError when there is no head; a cut body is told in the answer."""
        answer = await self.read_head()
        async for _ in self.read_body(answer, method):
            pass
        return answer

    async def read_head(self) -> RawAnswer:
        """The final head; its 1xx forerunners are kept beside it."""
        forerunners: list[bytes] = []
        while True:
            raw = await self.reader.readuntil(b"\r\n\r\n")
            status = int(raw.split(b" ", 2)[1])
            if status >= 200 or status == 101:
                break
            forerunners.append(raw)
        pairs = (line.partition(b":") for line in raw[:-4].split(b"\r\n")[1:])
        headers = [(name, value.strip()) for name, _, value in pairs]
        return RawAnswer(status, raw, headers, forerunners, head_at=time.monotonic())

    async def read_body(self, answer: RawAnswer, method: str = "GET") -> AsyncIterator[bytes]:
        """The body piece by piece, kept in the answer as it comes. Stop reading and `abort()` to hang up mid-stream."""
        try:
            async for data in self._pieces(answer, method):
                answer.chunks.append((time.monotonic(), data))
                yield data
            answer.complete = True
        except asyncio.IncompleteReadError as cut:
            answer.error = "eof"
            if cut.partial:
                answer.chunks.append((time.monotonic(), cut.partial))
        except ConnectionError:
            answer.error = "reset"

    async def _pieces(self, answer: RawAnswer, method: str) -> AsyncIterator[bytes]:
        if method == "HEAD" or answer.status in (101, 204, 304):
            return
        if answer.chunked:
            while size := int((await self.reader.readuntil(b"\r\n")).partition(b";")[0], 16):
                yield (await self.reader.readexactly(size + 2))[:-2]
            while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                answer.trailers += line
        elif (length := answer.header("content-length")) is not None:
            left = int(length)
            while left:
                if not (data := await self.reader.read(min(left, 65536))):
                    raise asyncio.IncompleteReadError(b"", left)
                left -= len(data)
                yield data
        else:
            while data := await self.reader.read(65536):
                yield data
