"""Distance in user space: a TCP relay that delivers every byte later.

`python -m bench.relay PORT TARGET_PORT ONE_WAY_MS`. Each direction is a queue of (due, bytes), so throughput stays and
only time is added. A relay on loopback answers a connect at once, but on a real path the client's first byte could
leave only one round trip after its SYN: the first bytes of a connection are therefore held until a round trip after
the accept.
"""

from __future__ import annotations

import asyncio
import collections
import sys
from typing import cast

import uvloop


class Line:
    """One direction. `write` or the end of the stream happens `delay` seconds later, never before `opened`."""

    def __init__(self, delay: float, opened: float) -> None:
        self.delay = delay
        self.opened = opened
        self.queue: collections.deque[tuple[float, bytes | None]] = collections.deque()
        self.transport: asyncio.Transport | None = None
        self.timer: asyncio.TimerHandle | None = None

    def connect(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._arm()

    def put(self, data: bytes | None) -> None:
        """None is the end of the stream."""
        now = asyncio.get_running_loop().time()
        self.queue.append((max(now, self.opened) + self.delay, data))
        self._arm()

    def _arm(self) -> None:
        if self.timer is None and self.queue and self.transport is not None:
            self.timer = asyncio.get_running_loop().call_at(self.queue[0][0], self._deliver)

    def _deliver(self) -> None:
        self.timer = None
        assert self.transport is not None
        # call_at rounds to milliseconds; half of one more keeps the delay's mean right.
        now = asyncio.get_running_loop().time() + 0.0005
        while self.queue and self.queue[0][0] <= now:
            _, data = self.queue.popleft()
            if data is None:
                self.transport.close()
            elif not self.transport.is_closing():
                self.transport.write(data)
        self._arm()


class End(asyncio.Protocol):
    """One end of the relay: what it receives goes down its line."""

    def __init__(self, out: Line, back: Line) -> None:
        self.out = out
        self.back = back

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.back.connect(cast("asyncio.Transport", transport))  # uvloop's own classes are not subclasses

    def data_received(self, data: bytes) -> None:
        self.out.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.out.put(None)


class Client(End):
    """The end that accepts; it opens the other one."""

    def __init__(self, target: int, delay: float) -> None:
        now = asyncio.get_running_loop().time()
        super().__init__(Line(delay, now + 2 * delay), Line(delay, 0.0))
        self.target = target
        self.opening: asyncio.Task[object] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        other = loop.create_connection(lambda: End(self.back, self.out), "127.0.0.1", self.target)
        self.opening = loop.create_task(other)


async def serve(port: int, target: int, one_way_ms: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Client(target, one_way_ms / 1000), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
