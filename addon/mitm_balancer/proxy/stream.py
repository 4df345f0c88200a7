"""The client's side of a balanced request: mitmproxy's own HttpStream with another source of answers.

mitmproxy's stream runs the hooks, opens a server connection and waits for what comes back. Ours hands the complete
request to a *call* (proxy/call.py), which runs the hooks, makes the attempts in plain asyncio over the shared pool,
and feeds the stream: `HeadReady`, `BodyData`, `BodyEnd`. Nothing ever blocks the layer, so a client that hangs up is
noticed at once.

        client_state                              server_state
        wait_for_request_headers                  uninitialized
        consume_request_body  --(too big)-->      relay
           |                  upload                 |
        done <-----------------'                  done | errored
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from mitmproxy import flow as mflow
from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    ErrorCode,
    Http2Server,
    HttpErrorHook,
    HttpEvent,
    HttpLayer,
    HTTPMode,
    HttpStream,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    SendHttp,
)
from mitmproxy.proxy.layers.websocket import WebsocketEndHook, WebsocketLayer
from mitmproxy.proxy.utils import expect
from wsproto.connection import ConnectionState as WebSocketState
from wsproto.events import CloseConnection as CloseFrame

from mitm_balancer.proxy.events import BodyBroken, BodyData, BodyEnd, CallEvent, CloseSocket, HeadReady, Whole
from mitm_balancer.proxy.wire import with_cookies

UNSENT_LOW_WATER = 64 * 1024
"""Bytes waiting for an h2 client's flow-control window below which the call may send on."""


class CallPort(Protocol):
    """What a stream needs of its call. `proxy.call.Call` is one, the stream tests have another."""

    replay_limit: int
    keep_body: bool
    """Whether the flow may show the bodies: those of the control plane can hold tokens."""

    def take_body(self, body: bytes) -> bytes | None:
        """The complete request body; returns what the flow shows of it."""

    def start(self, flow: http.HTTPFlow) -> None:
        """The request is complete: make the attempts."""

    def start_upload(self, flow: http.HTTPFlow, first: bytes) -> None:
        """The body is too large to keep: send it in one attempt as it comes."""

    def upload(self, data: bytes) -> None: ...

    def upload_ended(self) -> None: ...

    def upgraded_write(self, data: bytes) -> None:
        """After a 101: bytes for the provider."""

    def upgraded_close(self) -> None: ...

    def cancel(self) -> None:
        """The client is gone, or the flow was killed: abort the upstream at once. Safe at any time."""


type Opener = Callable[[Context, RequestHeaders, "BalancedLayer"], CallPort | None]
"""Makes the call for a request, hiding the client's credential from the flow-to-be; None: mitmproxy's own way."""


class BalancedStream(HttpStream):
    """One request and its answer."""

    def __init__(self, context: Context, stream_id: int, parent: BalancedLayer) -> None:
        super().__init__(context, stream_id)
        self.parent = parent
        self.call: CallPort | None = None

    @expect(events.Start, HttpEvent, CallEvent)
    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, CallEvent):
            yield from self.server_state(event)
        else:
            yield from super()._handle_event(event)

    # -- the request --------------------------------------------------------------------------------------------

    @expect(RequestHeaders)
    def state_wait_for_request_headers(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        self.call = self.parent.open_call(self.context, event, self.parent)
        if self.call is None:
            yield from super().state_wait_for_request_headers(event)
            return
        self.flow = http.HTTPFlow(self.context.client, self.context.server)
        self.flow.request = event.request
        self.flow.live = True
        if (yield from self.check_invalid(True)):
            return
        assert self.context.server.address
        self.flow.request.data.host, self.flow.request.data.port = self.context.server.address[:2]
        self.flow.request.scheme = "https"
        self.client_state = self.state_consume_request_body
        self.server_state = self.state_relay
        if not event.end_stream and (yield from self.check_body_size(True)):
            return
        if self.flow.request.headers.get("expect", "").lower() == "100-continue":
            interim = http.Response.make(100)
            interim.headers.clear()
            yield SendHttp(ResponseHeaders(self.stream_id, interim), self.context.client)
            self.flow.request.headers.pop("expect")
        if self.flow.request.stream and not event.end_stream:
            self._begin_upload(b"")

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        """`stream_large_bodies` wants the request body streamed."""
        if self.call is None:
            yield from super().start_request_stream()
        else:
            self._begin_upload(b"")

    @expect(RequestData, RequestTrailers, RequestEndOfMessage)
    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self.call is None:
            yield from super().state_consume_request_body(event)
        elif isinstance(event, RequestEndOfMessage):
            self.flow.request.timestamp_end = time.time()
            self.flow.request.data.content = self.call.take_body(bytes(self.request_body_buf))
            self.request_body_buf.clear()
            self.client_state = self.state_done
            self.call.start(self.flow)
        else:
            yield from super().state_consume_request_body(event)
            refused = self.client_state == self.state_errored  # mitmproxy's body_size_limit
            if not refused and len(self.request_body_buf) > self.call.replay_limit:
                first = bytes(self.request_body_buf)
                self.request_body_buf.clear()
                self._begin_upload(first)

    def _begin_upload(self, first: bytes) -> None:
        assert self.call is not None
        self.client_state = self.state_upload
        self.call.start_upload(self.flow, first)

    @expect(RequestData, RequestTrailers, RequestEndOfMessage)
    def state_upload(self, event: events.Event) -> layer.CommandGenerator[None]:
        assert self.call is not None
        if isinstance(event, RequestData):
            self.call.upload(event.data)
        elif isinstance(event, RequestEndOfMessage):
            self.flow.request.timestamp_end = time.time()
            self.client_state = self.state_done
            self.call.upload_ended()
            if self.server_state == self.state_done:
                yield from self.flow_done()

    # -- the answer ---------------------------------------------------------------------------------------------

    @expect(CallEvent)
    def state_relay(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, HeadReady):
            yield from self._commit(event.response, event.cookies)
            if isinstance(event, Whole):
                if event.body:
                    yield from self._body(event.body)
                yield from self._end()
        elif isinstance(event, BodyData):
            yield from self._body(event.data)
        elif isinstance(event, BodyEnd):
            yield from self._end()
        elif isinstance(event, BodyBroken):
            yield from self.handle_protocol_error(ResponseProtocolError(self.stream_id, event.why, event.code))

    def _commit(self, response: http.Response, cookies: tuple[bytes, ...]) -> layer.CommandGenerator[None]:
        assert self.call is not None
        self.flow.response = response
        sent = with_cookies(response, cookies)
        if response.status_code == 101:
            yield from self._upgrade(sent)
        else:
            yield SendHttp(ResponseHeaders(self.stream_id, sent, end_stream=False), self.context.client)

    def _upgrade(self, sent: http.Response) -> layer.CommandGenerator[None]:
        """The answer to a WebSocket handshake: from here on frames go both ways."""
        assert self.call is not None
        self.parent.bridge(self.context, self.call)
        self.server_state = self.state_done
        yield SendHttp(ResponseHeaders(self.stream_id, sent, end_stream=False), self.context.client)
        if self.client_state == self.state_done:
            yield from self.flow_done()
        if self.client_state == self.state_errored:  # the options allow neither WebSocket nor raw TCP
            self.call.cancel()

    def _body(self, data: bytes) -> layer.CommandGenerator[None]:
        keep = self.parent.keep_bodies and self.call is not None and self.call.keep_body
        for chunk in self._through_addons(data):
            if keep:
                self.response_body_buf += chunk
            yield SendHttp(ResponseData(self.stream_id, chunk), self.context.client)

    def _end(self) -> layer.CommandGenerator[None]:
        assert self.flow.response is not None
        if callable(self.flow.response.stream):
            for chunk in self._through_addons(b""):
                yield SendHttp(ResponseData(self.stream_id, chunk), self.context.client)
        if self.response_body_buf:
            self.flow.response.data.content = bytes(self.response_body_buf)
            self.response_body_buf.clear()
        self.flow.response.timestamp_end = time.time()
        self.server_state = self.state_done
        if self.client_state == self.state_done:
            yield from self.flow_done()

    def _through_addons(self, data: bytes) -> list[bytes]:
        """`flow.response.stream` may be a callable of a user's addon, by mitmproxy's rule."""
        assert self.flow.response is not None
        stream = self.flow.response.stream
        if not callable(stream):
            return [data] if data else []  # an empty chunk would end a chunked body
        chunks = stream(data)
        return [chunk for chunk in ([chunks] if isinstance(chunks, bytes) else chunks) if chunk]

    # -- ends ---------------------------------------------------------------------------------------------------

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        if self.call is None:
            yield from super().handle_protocol_error(event)
            return
        from_client = isinstance(event, RequestProtocolError)
        if from_client or event.code is ErrorCode.KILL:
            self.call.cancel()  # otherwise it was the call that said so, and it has its own end to record
        over = self.client_state == self.state_errored or self.server_state in (self.state_done, self.state_errored)
        if not over:
            self.flow.error = self.flow.error or mflow.Error(event.message)
            yield HttpErrorHook(self.flow)
        if not from_client and self.client_state != self.state_errored:
            yield SendHttp(event, self.context.client)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield DropStream(self.stream_id)

    @expect(RequestData, RequestEndOfMessage, events.Event)
    def passthrough(self, event: events.Event) -> layer.CommandGenerator[None]:
        """A WebSocket after its 101: what the call brings is what the server sends."""
        if isinstance(event, CloseSocket):
            yield from self._close_socket(event)
            return
        if isinstance(event, BodyData):
            event = ResponseData(self.stream_id, event.data)
        elif isinstance(event, (BodyEnd, BodyBroken)):
            event = ResponseEndOfMessage(self.stream_id)
        elif isinstance(event, (RequestProtocolError, ResponseProtocolError)):
            event = RequestEndOfMessage(self.stream_id)
        yield from super().passthrough(event)

    def _close_socket(self, event: CloseSocket) -> layer.CommandGenerator[None]:
        """We end it, not the provider: a close frame of our own, then both sides go."""
        child, socket = self.child_layer, self.flow.websocket
        if isinstance(child, WebsocketLayer) and child.client_ws.state is WebSocketState.OPEN:
            frame = child.client_ws.send(CloseFrame(code=event.code, reason=event.reason))
            yield SendHttp(ResponseData(self.stream_id, frame), self.context.client)
        if socket is not None and socket.timestamp_end is None:
            socket.timestamp_end = time.time()
            socket.closed_by_client = False
            socket.close_code, socket.close_reason = event.code, event.reason
            yield WebsocketEndHook(self.flow)
        self.flow.live = False
        if self.call is not None:
            self.call.cancel()
        yield SendHttp(ResponseProtocolError(self.stream_id, "EOF", ErrorCode.PASSTHROUGH_CLOSE), self.context.client)


class Bridge(layer.Layer):
    """Stands where the server connection would be after a 101 and hands the client's bytes to the call."""

    def __init__(self, context: Context, call: CallPort) -> None:
        super().__init__(context)
        self.call = call

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestData):
            self.call.upgraded_write(event.data)
        elif isinstance(event, (RequestProtocolError, RequestEndOfMessage)):
            self.call.upgraded_close()
        yield from ()


class BalancedLayer(HttpLayer):
    """An HttpLayer whose streams are balanced."""

    def __init__(self, context: Context, mode: HTTPMode, open_call: Opener, *, keep_bodies: bool) -> None:
        super().__init__(context, mode)
        self.open_call = open_call
        self.keep_bodies = keep_bodies
        self._waiting: dict[int, Callable[[], None]] = {}

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, CallEvent):
            if (stream := self.streams.get(event.stream_id)) is not None:
                yield from self.event_to_child(stream, event)
            return
        if isinstance(event, events.MessageInjected):
            # A person sends a WebSocket message by hand. mitmproxy finds the stream by way of the server connection.
            for stream in [s for s in self.streams.values() if s.flow is event.flow]:
                yield from self.event_to_child(stream, event)
            return
        yield from super()._handle_event(event)
        if self._waiting:
            self._wake()

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        stream = self.streams[stream_id] = BalancedStream(self.context.fork(), stream_id, self)
        yield from self.event_to_child(stream, events.Start())

    def bridge(self, context: Context, call: CallPort) -> None:
        """From now on what is sent to this context's server goes to the call."""
        server = context.server
        server.state = ConnectionState.OPEN
        server.timestamp_start = server.timestamp_start or time.time()
        self.connections[server] = Bridge(context.fork(), call)

    def unsent(self, stream_id: int) -> int:
        """Bytes that an h2 client has not yet allowed us to send; h1 has the socket's own limit."""
        connection = self.connections.get(self.context.client)
        if not isinstance(connection, Http2Server):
            return 0
        return sum(len(part.data) for part in connection.h2_conn.stream_buffers.get(stream_id, ()))

    def when_sent(self, stream_id: int, resume: Callable[[], None]) -> None:
        """Call `resume` once the client has taken what waits for it, or the stream is gone."""
        self._waiting[stream_id] = resume
        self._wake()

    def _wake(self) -> None:
        for stream_id in list(self._waiting):
            if stream_id not in self.streams or self.unsent(stream_id) <= UNSENT_LOW_WATER:
                self._waiting.pop(stream_id)()
