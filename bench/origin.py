"""The provider's stand-in: a fast TLS origin in a process of its own. `python -m bench.origin PORT CHAIN`.

It must never be what is measured: uvloop, a C parser, answers prepared once.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import sys
import time
from typing import cast

import httptools
import uvloop

from bench import wire
from bench.wire import Ask

BURST = 64
"""Events of a flood written between two looks at the transport's buffer."""

START = wire.event(
    "message_start",
    {"message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
                 "stop_reason": None, "usage": {"input_tokens": 25, "output_tokens": 1}}},
) + wire.event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})  # fmt: skip
DELTA = wire.event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "Hello there"}})
END = (
    wire.event("content_block_stop", {"index": 0})
    + wire.event("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}})
    + wire.event("message_stop", {})
    + b"0\r\n\r\n"
)

json_answer = functools.lru_cache(maxsize=8)(wire.json_answer)
REFUSAL = wire.refusal()
STREAM_HEAD = wire.stream_head()


def stamped() -> bytes:
    """A text event that carries the time of its sending."""
    return wire.chunk(
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"Hello there"},%b%d}\n\n' % (wire.STAMP, time.monotonic_ns())
    )


class Connection(asyncio.Protocol):
    """One kept connection; requests one after the other."""

    refused: set[str] = set()  # noqa: RUF012 - shared on purpose: a second attempt comes on another connection

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.writable.set()
        self.ask = Ask()
        self.work: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own classes are not subclasses
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self.work:
            task.cancel()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == wire.HEADER:
            self.ask = Ask.decode(value)

    def on_message_complete(self) -> None:
        ask, self.ask = self.ask, Ask()
        if self._refuses(ask.refuse):
            self.transport.write(REFUSAL)
        elif ask.events:
            task = asyncio.get_running_loop().create_task(self._stream(ask))
            self.work.add(task)
            task.add_done_callback(self.work.discard)
        else:
            self.transport.write(json_answer(ask.size))

    def _refuses(self, request: str) -> bool:
        if not request or request in self.refused:
            return False
        if request != "always":
            self.refused.add(request)
        return True

    async def _stream(self, ask: Ask) -> None:
        self.transport.write(STREAM_HEAD)
        self.transport.write(START)
        await (self._paced(ask) if ask.gap_ms else self._flood(ask.events))
        self.transport.write(END)

    async def _paced(self, ask: Ask) -> None:
        """One event per gap on a fixed grid, so that a late wake-up does not stretch the stream."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for n in range(1, ask.events + 1):
            await asyncio.sleep(begin + n * ask.gap_ms / 1000 - loop.time())
            self.transport.write(stamped())

    async def _flood(self, events: int) -> None:
        for n in range(events):
            self.transport.write(DELTA)
            if n % BURST == 0:
                await asyncio.sleep(0)
                await self.writable.wait()


async def serve(port: int, chain: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, ssl=context, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
