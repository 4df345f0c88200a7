"""Where an answer goes: into a client's stream, or into a flow that is being replayed."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator
from typing import Protocol

from mitmproxy import flow as mflow
from mitmproxy import http
from mitmproxy.proxy.layers.http import ErrorCode
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.websocket import WebSocketData

from mitm_balancer.proxy.events import BodyBroken, BodyData, BodyEnd, CallEvent, CloseSocket, HeadReady, Whole
from mitm_balancer.proxy.hooks import Hooks
from mitm_balancer.proxy.stream import BalancedLayer
from mitm_balancer.proxy.wire import hide_cookies

UNSENT_HIGH_WATER = 256 * 1024
"""Bytes that may wait for an h2 client's flow-control window before the upstream is slowed."""

UPLOAD_HIGH_WATER = 1024 * 1024
UPLOAD_LOW_WATER = 256 * 1024


class Outlet(Protocol):
    """Takes an answer in order: head, data..., end or broken; or whole. Each call returns when more may come."""

    async def head(self, response: http.Response) -> None: ...

    async def whole(self, response: http.Response, body: bytes) -> None:
        """Head, body and end at once."""

    async def data(self, data: bytes) -> None: ...

    async def end(self) -> None: ...

    async def broken(self, message: str) -> None: ...


class StreamOutlet:
    """Into the client's connection. A slow client slows whoever feeds it."""

    def __init__(
        self, handler: ConnectionHandler, layer: BalancedLayer, stream_id: int, flow: http.HTTPFlow, hooks: Hooks
    ) -> None:
        self.handler, self.layer, self.stream_id, self.flow, self.hooks = handler, layer, stream_id, flow, hooks

    async def request(self) -> bool:
        """The hooks of a complete request. Tells whether there is still something to serve."""
        hooks, flow = self.hooks, self.flow
        alive = await hooks.run("requestheaders", flow) and await hooks.run("request", flow)
        if not alive:
            await self.kill()
        elif flow.response is not None:  # an addon has answered
            response = flow.response
            flow.response = None
            await self.whole(response, response.raw_content or b"")
            return False
        return alive

    async def head(self, response: http.Response) -> None:
        cookies = await self._head(response)
        await self._emit(HeadReady(self.flow, self.stream_id, self.flow.response or response, cookies))

    async def whole(self, response: http.Response, body: bytes) -> None:
        cookies = await self._head(response)
        await self._emit(Whole(self.flow, self.stream_id, self.flow.response or response, cookies, body))
        await self.hooks.run("response", self.flow)

    async def _head(self, response: http.Response) -> tuple[bytes, ...]:
        """Run the hooks of the head; the cookies that the flow does not show."""
        cookies = hide_cookies(response)
        self.flow.response = response
        if not await self.hooks.run("responseheaders", self.flow):
            await self.kill()
        if response.status_code == 101:  # before the frames, as mitmproxy's own send_response does it
            websocket = self.layer.context.options.websocket
            if websocket and response.headers.get("upgrade", "").lower() == "websocket":
                self.flow.websocket = WebSocketData()
            await self.hooks.run("response", self.flow)
        return cookies

    async def kill(self) -> None:
        """A person or an addon killed the flow: the client's stream is reset. Ends the call."""
        await self._emit(BodyBroken(self.flow, self.stream_id, "killed", ErrorCode.KILL))
        await asyncio.sleep(0)  # the stream has cancelled this call: let it happen here

    async def data(self, data: bytes) -> None:
        await self._emit(BodyData(self.flow, self.stream_id, data))
        if self.layer.unsent(self.stream_id) > UNSENT_HIGH_WATER:
            taken = asyncio.Event()
            self.layer.when_sent(self.stream_id, taken.set)
            await taken.wait()

    async def end(self) -> None:
        await self._emit(BodyEnd(self.flow, self.stream_id))
        if self.flow.response is not None and self.flow.response.status_code != 101:
            await self.hooks.run("response", self.flow)

    async def close_socket(self, code: int, reason: str) -> None:
        """End a WebSocket from our side."""
        await self._emit(CloseSocket(self.flow, self.stream_id, code, reason))

    async def broken(self, message: str) -> None:
        await self._emit(BodyBroken(self.flow, self.stream_id, message))

    async def _emit(self, event: CallEvent) -> None:
        await self.handler.server_event(event)
        if self._unsent():
            await self.handler.drain_writers()

    def _unsent(self) -> bool:
        """Whether the client's socket has not taken everything at once, as it does when the client keeps up."""
        io = self.handler.transports.get(self.handler.client)
        transport = getattr(io.writer, "transport", None) if io is not None else None
        return transport is not None and transport.get_write_buffer_size() > 0


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

    async def whole(self, response: http.Response, body: bytes) -> None:
        await self.head(response)
        await self.data(body)
        await self.end()

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
        self._unwanted = False
        self._more = asyncio.Event()
        self.used = False

    def put(self, data: bytes) -> None:
        if self._unwanted:
            return
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
        self._unwanted = True
        self._parts.clear()
        self._size = 0
        self._reading(pause=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        self.used = True
        try:
            while self._parts or not self._ended:
                while self._parts:
                    data = self._parts.popleft()
                    self._size -= len(data)
                    if self._size < UPLOAD_LOW_WATER:
                        self._reading(pause=False)
                    yield data
                if not self._ended:
                    self._more.clear()
                    await self._more.wait()
        finally:
            self.discard()  # an early refusal ends the reading, and one attempt is all there is

    def _reading(self, *, pause: bool) -> None:
        # Pausing is repeated: asyncio's StreamReader pauses and resumes the same transport for reasons of its own.
        if not pause and not self._paused:
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
