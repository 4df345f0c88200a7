"""Transcripts of the balanced stream: an event goes in, what the layer did comes out as lines of text.

    assert play.client(b"POST / HTTP/1.1\\r\\n...") == ["start b'body'"]
    assert play.head(200) == ["send b'HTTP/1.1 200 OK...'"]

Lines are mitmproxy commands (`send`, `close`, `hook`) and what the stream asked of its call (`start`, `upload`,
`cancel`, ...), in order. For an h2 client what is sent is decoded by a real h2 client: `headers 1 200`, `data 1 b'x'`,
`end 1`, `reset 1 2`. Hooks are answered at once unless `hold_hooks` is set.
"""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
from mitmproxy import connection, http, options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import ErrorCode, HTTPMode, RequestHeaders

from mitm_balancer.proxy.events import BodyBroken, BodyData, BodyEnd, CallEvent, HeadReady, Whole
from mitm_balancer.proxy.stream import BalancedLayer

HOST = ("api.example", 443)


class PlayedCall:
    """A `CallPort` that writes down what the stream asks of it."""

    def __init__(self, log: list[str], replay_limit: int) -> None:
        self.log, self.replay_limit, self.keep_body = log, replay_limit, True
        self.flow: http.HTTPFlow | None = None
        self.body = b""

    def take_body(self, body: bytes) -> bytes | None:
        self.body = body
        return body if self.keep_body else None

    def start(self, flow: http.HTTPFlow) -> None:
        self.flow = flow
        self.log.append(f"start {self.body!r}")

    def start_upload(self, flow: http.HTTPFlow, first: bytes) -> None:
        self.flow = flow
        self.log.append(f"start_upload {first!r}")

    def upload(self, data: bytes) -> None:
        self.log.append(f"upload {data!r}")

    def upload_ended(self) -> None:
        self.log.append("upload_ended")

    def upgraded_write(self, data: bytes) -> None:
        self.log.append(f"upgraded_write {data!r}")

    def upgraded_close(self) -> None:
        self.log.append("upgraded_close")

    def cancel(self) -> None:
        self.log.append("cancel")


class Playbook:
    """One client connection and its `BalancedLayer`."""

    def __init__(
        self, *, h2_client: bool = False, replay_limit: int = 1000, keep_bodies: bool = True, balanced: bool = True
    ) -> None:
        self.log: list[str] = []
        self.calls: list[PlayedCall] = []
        self.latest = 1
        """The stream of the newest request: where an answer goes unless a test says otherwise."""
        self.hold_hooks = False
        self.held: list[commands.StartHook] = []
        self.replay_limit, self.balanced = replay_limit, balanced
        self.options = options.Options()
        Proxyserver().load(self.options)  # type: ignore[arg-type]
        self.connection = connection.Client(
            peername=("127.0.0.1", 50000), sockname=("127.0.0.1", 8080), state=ConnectionState.OPEN, timestamp_start=1.0
        )
        self.connection.tls, self.connection.alpn = True, b"h2" if h2_client else b"http/1.1"
        context = Context(self.connection, self.options)
        context.server.address, context.server.tls = HOST, True
        self.layer = BalancedLayer(context, HTTPMode.transparent, self._open, keep_bodies=keep_bodies)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True)) if h2_client else None
        if self.h2 is not None:
            self.h2.initiate_connection()
        self.feed(events.Start())
        if self.h2 is not None:
            self.flush()
        self.log.clear()

    def _open(self, context: Context, event: RequestHeaders, parent: BalancedLayer) -> PlayedCall | None:
        if not self.balanced:
            return None
        self.calls.append(PlayedCall(self.log, self.replay_limit))
        self.latest = event.stream_id
        return self.calls[-1]

    @property
    def flow(self) -> http.HTTPFlow:
        flow = self.calls[-1].flow
        assert flow is not None
        return flow

    # -- events -------------------------------------------------------------------------------------------------

    def feed(self, event: events.Event) -> list[str]:
        """What came of the event; the log is empty afterwards."""
        for command in self.layer.handle_event(event):
            self._note(command)
        seen, self.log[:] = list(self.log), []
        return seen

    def client(self, data: bytes) -> list[str]:
        return self.feed(events.DataReceived(self.connection, data))

    def client_leaves(self) -> list[str]:
        self.connection.state &= ~ConnectionState.CAN_READ
        return self.feed(events.ConnectionClosed(self.connection))

    def flush(self) -> list[str]:
        """What the h2 client has to say."""
        assert self.h2 is not None
        return self.client(self.h2.data_to_send())

    def release(self) -> list[str]:
        """Answer the oldest held hook."""
        return self.feed(events.HookCompleted(self.held.pop(0), None))

    def head(self, status: int = 200, *fields: tuple[bytes, bytes], stream_id: int = 0) -> list[str]:
        return self.feed(HeadReady(self.flow, stream_id or self.latest, make_head(status, *fields)))

    def whole(self, body: bytes, status: int = 200, *, stream_id: int = 0) -> list[str]:
        length = (b"content-length", b"%d" % len(body))
        return self.feed(Whole(self.flow, stream_id or self.latest, make_head(status, length), (), body))

    def data(self, data: bytes, *, stream_id: int = 0) -> list[str]:
        return self.feed(BodyData(self.flow, stream_id or self.latest, data))

    def end(self, *, stream_id: int = 0) -> list[str]:
        return self.feed(BodyEnd(self.flow, stream_id or self.latest))

    def broken(self, why: str, code: ErrorCode = ErrorCode.GENERIC_SERVER_ERROR, *, stream_id: int = 0) -> list[str]:
        return self.feed(BodyBroken(self.flow, stream_id or self.latest, why, code))

    def stray(self, event: CallEvent) -> list[str]:
        return self.feed(event)

    # -- commands -----------------------------------------------------------------------------------------------

    def _note(self, command: commands.Command) -> None:
        match command:
            case commands.SendData():
                assert command.connection is self.connection
                self._note_sent(command.data)
            case commands.CloseConnection():
                assert command.connection is self.connection
                self.connection.state = ConnectionState.CLOSED
                self.log.append("close")
            case commands.StartHook():
                self.log.append(f"hook {command.name}")
                self._hook(command)
            case commands.Log():
                pass
            case _:
                raise AssertionError(f"unexpected command {command!r}")

    def _hook(self, hook: commands.StartHook) -> None:
        if self.hold_hooks:
            self.held.append(hook)
            return
        for command in self.layer.handle_event(events.HookCompleted(hook, None)):
            self._note(command)

    def _note_sent(self, data: bytes) -> None:
        if self.h2 is None:
            self.log.append(f"send {data!r}")
            return
        for event in self.h2.receive_data(data):
            match event:
                case h2.events.ResponseReceived():
                    status = dict(event.headers or ())[b":status"].decode()
                    self.log.append(f"headers {event.stream_id} {status}")
                case h2.events.DataReceived() if event.data:
                    self.log.append(f"data {event.stream_id} {event.data!r}")
                case h2.events.StreamEnded():
                    self.log.append(f"end {event.stream_id}")
                case h2.events.StreamReset():
                    self.log.append(f"reset {event.stream_id} {event.error_code}")


def make_head(status: int = 200, *fields: tuple[bytes, bytes]) -> http.Response:
    """A head as `display.response_head` makes it: chunked unless the fields say otherwise."""
    framed = any(name in (b"content-length", b"upgrade") for name, _ in fields)
    own = () if framed else ((b"transfer-encoding", b"chunked"),)
    response = http.Response(b"HTTP/1.1", status, b"OK", http.Headers((*fields, *own)), None, None, 1.0, None)
    response.stream = True
    return response
