"""A client for the demonstration: one streaming request through the proxy, by hand, told as it arrives."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 20.0
"""Seconds for the whole exchange."""

REQUEST = json.dumps(
    {
        "model": "claude-sonnet-4-5",
        "max_tokens": 64,
        "stream": True,
        "messages": [{"role": "user", "content": "Say hello."}],
    }
)

HOST = "api.anthropic.com"


@dataclass(frozen=True, slots=True)
class Head:
    """The answer's head; header names in lower case."""

    status: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: its type, the text it adds (if any), and seconds since the request was sent."""

    at: float
    kind: str
    text: str


async def ask(port: int, ca: Path, key: str) -> AsyncIterator[Head | Event]:
    """The head first, then each event when it comes. OSError, EOFError or TimeoutError when the proxy breaks off."""
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
            if (await _head(reader)).status != 200:
                raise EOFError("the proxy refused CONNECT")
            await writer.start_tls(ssl.create_default_context(cafile=str(ca)), server_hostname=HOST)
            writer.write(_request(key))
            sent = time.monotonic()
            head = await _head(reader)
            yield head
            body = _chunks(reader) if head.headers.get("transfer-encoding") == "chunked" else _rest(reader)
            async for event in _events(body, sent):
                yield event
        finally:
            writer.close()


def _request(key: str) -> bytes:
    lines = (
        "POST /v1/messages HTTP/1.1",
        f"Host: {HOST}",
        f"x-api-key: {key}",
        "anthropic-version: 2023-06-01",
        "content-type: application/json",
        f"content-length: {len(REQUEST)}",
        "connection: close",
    )
    return "\r\n".join((*lines, "", REQUEST)).encode()


async def _head(reader: asyncio.StreamReader) -> Head:
    first, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return Head(int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs})


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield (await reader.readexactly(size + 2))[:size]


async def _rest(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while part := await reader.read(65536):
        yield part


async def _events(body: AsyncIterator[bytes], sent: float) -> AsyncIterator[Event]:
    waiting = b""
    async for part in body:
        *whole, waiting = (waiting + part).replace(b"\r\n", b"\n").split(b"\n\n")
        for block in whole:
            yield _event(block.decode(), time.monotonic() - sent)


def _event(block: str, at: float) -> Event:
    fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
    data = json.loads(fields.get("data", "{}"))
    return Event(at, fields.get("event", "message"), str(data.get("delta", {}).get("text", "")))
