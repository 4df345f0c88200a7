"""A balanced stream behind a real socket: mitmproxy's own ConnectionHandler, our layer, and a call from a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

from mitmproxy import connection, http, options
from mitmproxy.addonmanager import AddonManager
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode, RequestHeaders
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO

from mitm_balancer.proxy.hooks import Hooks
from mitm_balancer.proxy.outlet import StreamOutlet, Upload
from mitm_balancer.proxy.stream import BalancedLayer

PATIENCE = 5.0
"""Seconds that a test waits for what must come."""

type Script = Callable[["ScriptedCall"], Awaitable[None]]


class ScriptedCall:
    """A `CallPort` whose task runs the hooks of the request and then the test's script."""

    replay_limit = 100_000
    keep_body = True

    def __init__(self, handler: Handler, layer: BalancedLayer, stream_id: int) -> None:
        self.handler, self.layer, self.stream_id = handler, layer, stream_id
        self.upload_body: Upload | None = None
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False

    def take_body(self, body: bytes) -> bytes | None:
        return body

    def start(self, flow: http.HTTPFlow) -> None:
        self.flow = flow
        self.outlet = StreamOutlet(self.handler, self.layer, self.stream_id, flow, self.handler.hooks)
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        if await self.outlet.request():
            await self.handler.script(self)

    def start_upload(self, flow: http.HTTPFlow, first: bytes) -> None:
        self.upload_body = Upload(self.handler)
        self.upload_body.put(first)
        self.start(flow)

    def upload(self, data: bytes) -> None:
        assert self.upload_body is not None
        self.upload_body.put(data)

    def upload_ended(self) -> None:
        assert self.upload_body is not None
        self.upload_body.end()

    def upgraded_write(self, data: bytes) -> None: ...

    def upgraded_close(self) -> None: ...

    def cancel(self) -> None:
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()


class Handler(ConnectionHandler):
    """mitmproxy's, with our layer in it; `hook_names` are those that came through the layers."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, manager: AddonManager, script: Script
    ) -> None:
        opts = options.Options()
        Proxyserver().load(opts)  # type: ignore[arg-type]
        client = connection.Client(
            peername=writer.get_extra_info("peername"),
            sockname=writer.get_extra_info("sockname"),
            state=ConnectionState.OPEN,
            timestamp_start=1.0,
        )
        client.tls = True
        context = Context(client, opts)
        context.server.address, context.server.tls = ("api.example", 443), True
        super().__init__(context)
        self.hooks, self.script = Hooks(manager), script
        self.hook_names: list[str] = []
        self.calls: list[ScriptedCall] = []
        self.layer = BalancedLayer(context, HTTPMode.transparent, self._open, keep_bodies=False)
        self.transports[client] = ConnectionIO(reader=reader, writer=writer)

    def _open(self, context: Context, event: RequestHeaders, parent: BalancedLayer) -> ScriptedCall:
        self.calls.append(ScriptedCall(self, parent, event.stream_id))
        return self.calls[-1]

    async def handle_hook(self, hook: commands.StartHook) -> None:
        self.hook_names.append(hook.name)


class Proxied:
    """`async with Proxied(manager, script) as play`: `play.reader` and `play.writer` are the client's."""

    def __init__(self, manager: AddonManager, script: Script) -> None:
        self.manager, self.script = manager, script
        self.accepted: asyncio.Future[Handler] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Proxied:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.handler = await asyncio.wait_for(self.accepted, PATIENCE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.transport.abort()
        self._server.close()
        await asyncio.wait_for(self._served, PATIENCE)
        for call in self.handler.calls:
            if call.task is not None and error is None:
                await asyncio.wait((call.task,), timeout=PATIENCE)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = Handler(reader, writer, self.manager, self.script)
        self._served = asyncio.ensure_future(handler.handle_client())
        self.accepted.set_result(handler)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), PATIENCE)

    async def rest(self) -> bytes:
        """All until the proxy closes."""
        return await asyncio.wait_for(self.reader.read(-1), PATIENCE)

    @property
    def call(self) -> ScriptedCall:
        return self.handler.calls[-1]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(0.002)
