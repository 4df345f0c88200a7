"""A TLS server by hand, for what a well-behaved fake cannot do: read slowly, or answer before it has read."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from mitm_balancer.testing import CA

type Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

READ = 65536


@contextlib.asynccontextmanager
async def serving(ca: CA, script: Script) -> AsyncIterator[str]:
    """The base URL of a server that plays the script on each connection."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(play, "127.0.0.1", 0, ssl=ca.issue(["127.0.0.1"]).context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def read_head(reader: asyncio.StreamReader) -> tuple[str, int]:
    """The head as text, and the content-length that it states."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lengths = [line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length:")]
    return head, int(lengths[0]) if lengths else 0


async def digest_of(reader: asyncio.StreamReader, length: int) -> Any:
    """The hash of a body, read piece by piece."""
    digest = hashlib.sha256()
    while length:
        data = await reader.read(min(READ, length))
        if not data:
            raise asyncio.IncompleteReadError(b"", length)
        digest.update(data)
        length -= len(data)
    return digest
