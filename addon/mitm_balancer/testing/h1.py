"""HTTP/1.1 by hand, so that the ledger has the very bytes of every request and a step can break any rule."""

from __future__ import annotations

import asyncio

from mitm_balancer.testing import websocket
from mitm_balancer.testing.answer import Answer
from mitm_balancer.testing.director import Director
from mitm_balancer.testing.ledger import Record, now
from mitm_balancer.testing.plan import plan
from mitm_balancer.testing.wire import ClientGoneError, Wire


async def serve(wire: Wire, director: Director, connection_id: int) -> None:
    """Request after request until either side ends the connection."""
    while (record := await _read_head(wire, director, connection_id)) is not None:
        try:
            await _read_body(wire, record)
            keep = await _answer(wire, director, record)
        except (ClientGoneError, asyncio.IncompleteReadError):
            record.client_gone, record.gone_at = True, wire.presence.left_at
            keep = False
        finally:
            record.ended_at = now()
        if not keep:
            break
    await wire.close()


async def _answer(wire: Wire, director: Director, record: Record) -> bool:
    """True: the connection may be used again."""
    step, ask = director.decide(record)
    if websocket.is_upgrade(record):
        return await websocket.serve(wire, record, step, ask)
    return await Answer(wire, record).play(plan(step, ask))


async def _read_head(wire: Wire, director: Director, connection_id: int) -> Record | None:
    """None: the peer left between two requests (or in the middle of a head, which no rule forbids either)."""
    try:
        raw = await wire.reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    request_line, *lines = raw[:-4].split(b"\r\n")
    method, target, version = request_line.decode("latin-1").split(" ")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(b":") for line in lines))
    return director.open(
        method,
        target,
        headers,
        connection_id=connection_id,
        http_version=version,
        raw_head=raw,
    )


async def _read_body(wire: Wire, record: Record) -> None:
    if (record.header(b"expect") or "").lower() == "100-continue":
        await wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        if (record.header(b"transfer-encoding") or "").lower() == "chunked":
            await _read_chunks(wire.reader, record)
        elif length := int(record.header(b"content-length") or 0):
            record.body = record.raw_body = await wire.reader.readexactly(length)
    except ConnectionError as gone:
        raise ClientGoneError from gone


async def _read_chunks(reader: asyncio.StreamReader, record: Record) -> None:
    body, raw = bytearray(), bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        chunk = await reader.readexactly(size + 2) if size else await _read_trailers(reader)
        raw += line + chunk
        if not size:
            break
        body += chunk[:-2]
    record.body, record.raw_body = bytes(body), bytes(raw)


async def _read_trailers(reader: asyncio.StreamReader) -> bytes:
    lines = bytearray()
    while not lines.endswith(b"\r\n\r\n") and lines != b"\r\n":
        lines += await reader.readuntil(b"\r\n")
    return bytes(lines)
