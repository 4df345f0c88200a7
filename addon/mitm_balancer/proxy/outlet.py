"""Where an answer goes: into a client's stream, or into a flow that is being replayed."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator
from typing import Protocol

from mitmproxy import flow as mflow
from mitmproxy import http
from mitmproxy.proxy.server import ConnectionHandler

from mitm_balancer.proxy.events import BodyBroken, BodyData, BodyEnd, CallEvent, HeadReady
from mitm_balancer.proxy.stream import BalancedLayer
from mitm_balancer.proxy.wire import hide_cookies

UNSENT_HIGH_WATER = 256 * 1024
"""Bytes that may wait for an h2 client's flow-control window before the upstream is slowed."""

UPLOAD_HIGH_WATER = 1024 * 1024
UPLOAD_LOW_WATER = 256 * 1024


class Outlet(Protocol):
    """Takes an answer in order: head, data..., end or broken. Each call returns when more may come."""

    async def head(self, response: http.Response) -> None: ...

    async def data(self, data: bytes) -> None: ...

    async def end(self) -> None: ...

    async def broken(self, message: str) -> None: ...


class StreamOutlet:
    """Into the client's connection. A slow client slows whoever feeds it."""

    def __init__(self, handler: ConnectionHandler, layer: BalancedLayer, stream_id: int, flow: http.HTTPFlow) -> None:
        self.handler, self.layer, self.stream_id, self.flow = handler, layer, stream_id, flow
        self._head_sent = asyncio.Event()

    def head_was_sent(self) -> None:
        self._head_sent.set()

    async def head(self, response: http.Response) -> None:
        await self._emit(HeadReady(self.flow, self.stream_id, response, hide_cookies(response)))
        # The hooks of the head may take their time (a person intercepts it): the body waits for them.
        await self._head_sent.wait()

    async def data(self, data: bytes) -> None:
        await self._emit(BodyData(self.flow, self.stream_id, data))
        if self.layer.unsent(self.stream_id) > UNSENT_HIGH_WATER:
            taken = asyncio.Event()
            self.layer.when_sent(self.stream_id, taken.set)
            await taken.wait()

    async def end(self) -> None:
        await self._emit(BodyEnd(self.flow, self.stream_id))

    async def broken(self, message: str) -> None:
        await self._emit(BodyBroken(self.flow, self.stream_id, message))

    async def _emit(self, event: CallEvent) -> None:
        await self.handler.server_event(event)
        await self.handler.drain_writers()


class FlowOutlet:
    """Into a flow that a person replays from mitmproxy (DESIGN 3.11)."""

    def __init__(self, flow: http.HTTPFlow) -> None:
        self.flow = flow
        self._body: list[bytes] = []
        self._response: http.Response | None = None

    async def head(self, response: http.Response) -> None:
        response.stream = False
        hide_cookies(response)
        self._response = response

    async def data(self, data: bytes) -> None:
        self._body.append(data)

    async def end(self) -> None:
        assert self._response is not None
        self._response.raw_content = b"".join(self._body)
        self.flow.response = self._response

    async def broken(self, message: str) -> None:
        self.flow.error = mflow.Error(message)
        self.flow.response = http.Response.make(502, f"mitm-balancer: {message}\n")


class Upload:
    """A request body too large to keep, on its way through. Pauses the client's socket when the provider is slower."""

    def __init__(self, handler: ConnectionHandler) -> None:
        self._handler = handler
        self._parts: collections.deque[bytes] = collections.deque()
        self._size = 0
        self._ended = False
        self._paused = False
        self._more = asyncio.Event()
        self.used = False

    def put(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        self._more.set()
        if self._size > UPLOAD_HIGH_WATER:
            self._reading(pause=True)

    def end(self) -> None:
        self._ended = True
        self._more.set()

    def discard(self) -> None:
        """Nobody wants it any more: let the client finish."""
        self._parts.clear()
        self._size = 0
        self._reading(pause=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        self.used = True
        while True:
            while self._parts:
                data = self._parts.popleft()
                self._size -= len(data)
                if self._size < UPLOAD_LOW_WATER:
                    self._reading(pause=False)
                yield data
            if self._ended:
                return
            self._more.clear()
            await self._more.wait()

    def _reading(self, *, pause: bool) -> None:
        if pause is self._paused:
            return
        io = self._handler.transports.get(self._handler.client)
        transport = getattr(io.writer, "transport", None) if io is not None else None
        if transport is None or transport.is_closing():
            return
        self._paused = pause
        if pause:
            transport.pause_reading()
        else:
            transport.resume_reading()
