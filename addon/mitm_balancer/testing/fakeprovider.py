"""A scripted provider over real TLS on loopback: the other end of every failover test, and of `balancer demo`.

async with FakeProvider({"KEY-A": "a", "KEY-B": "b"}, ca=make_ca(folder)) as fake:
    fake.play("a", steps.rate_limited(retry_after=3))   # once, then well again
    fake.play("b", then=steps.overloaded())             # always
    ...                                                 # send requests to fake.url
    assert fake.ledger.accepted() == {"request-1": 1}
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from mitm_balancer.testing import h1, h2server
from mitm_balancer.testing.certs import CA
from mitm_balancer.testing.director import Director
from mitm_balancer.testing.step import FOREVER
from mitm_balancer.testing.wire import Wire, abort_socket, accept

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
BACKLOG = 512
POLL = 0.005
"""Seconds between two looks of `until`."""


class AcceptFault(enum.StrEnum):
    """What can go wrong with a connection before there is a request."""

    RST = "rst"
    FIN = "fin"
    HANG = "hang"
    """Accepted, and never a word: the TLS handshake does not end."""
    GARBAGE = "garbage"
    """An answer that is not TLS."""


class FakeProvider(Director):
    """An async context manager; it listens from entry to exit. See `Director` for `play`, `route` and `ledger`."""

    def __init__(
        self,
        labels: Mapping[str, str],
        *,
        ca: CA | None,
        names: Sequence[str] = LOOPBACK_NAMES,
        http2: bool = False,
        port: int = 0,
    ) -> None:
        """`labels` maps credentials to account labels. Without a CA it speaks plain HTTP. Port 0: any free one."""
        super().__init__(labels)
        self.ca = ca
        self.port = port
        self.faults: list[BaseException] = []
        """Errors of the fake itself; the first is raised at exit."""
        self._context = None
        if ca is not None:
            self._context = ca.issue(names).context
            self._context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
        self._accept_faults: deque[AcceptFault] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wires: set[Wire] = set()

    @property
    def url(self) -> str:
        """The origin, for `base_url`."""
        return f"{'http' if self._context is None else 'https'}://127.0.0.1:{self.port}"

    def on_accept(self, *faults: AcceptFault) -> None:
        """Do this to the next connections, one each."""
        self._accept_faults.extend(faults)

    @property
    def open_connections(self) -> int:
        """Connections past the handshake that neither side has closed."""
        return len(self._wires)

    def drop_connections(self) -> None:
        """Reset every open connection at once, in use or idle."""
        for wire in self._wires:
            wire.abort()

    async def until(self, condition: Callable[[], object], timeout: float = 5.0) -> None:
        """Wait until the condition is true of the ledger; TimeoutError after so many seconds."""
        async with asyncio.timeout(timeout):
            while not condition():  # noqa: ASYNC110 - any condition, not one event
                await asyncio.sleep(POLL)

    async def __aenter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=BACKLOG)
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._spawn(self._listen(), "fake-provider-listen")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.drop_connections()
        if self.faults and error is None:
            raise self.faults[0]

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._socket)
            self.ledger.connections += 1
            self._spawn(self._serve(connection, self.ledger.connections), f"fake-provider-{self.ledger.connections}")

    async def _serve(self, connection: socket.socket, connection_id: int) -> None:
        if self._accept_faults:
            with connection:
                await _spoil(connection, self._accept_faults.popleft())
            return
        try:
            wire = await accept(connection, self._context)
        except OSError:  # the peer did not finish the handshake; it may have meant that
            return
        self._wires.add(wire)
        try:
            serve = h2server.serve if wire.alpn == "h2" else h1.serve
            await serve(wire, self, connection_id)
        finally:
            self._wires.discard(wire)
            wire.abort()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.faults.append(fault)


async def _spoil(connection: socket.socket, fault: AcceptFault) -> None:
    loop = asyncio.get_running_loop()
    match fault:
        case AcceptFault.RST:
            abort_socket(connection)
        case AcceptFault.HANG:
            await asyncio.sleep(FOREVER)
        case AcceptFault.GARBAGE:
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(connection, b"SSH-2.0-not-tls\r\n")
