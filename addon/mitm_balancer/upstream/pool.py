"""The pool: connections to providers, shared by all client connections, kept warm, bounded per origin.

Last in, first out: the connection that was used last is the least likely to have been closed by the provider. The
bookkeeping is synchronous; only dialling waits.
"""

from __future__ import annotations

import asyncio
import collections
import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import Origin, Timeouts, UpstreamError, UpstreamResponse, WireRequest
from mitm_balancer.upstream.connection import Connection
from mitm_balancer.upstream.dial import Via, dial
from mitm_balancer.upstream.tls import TlsSettings

IDLE_LIMIT = 55.0
"""Seconds an idle connection is kept: below the 60 s after which common load balancers (AWS ALB) close theirs, so that
a request seldom meets a connection that has just been closed (DESIGN 3.8)."""

PER_ORIGIN = 128
"""Connections per origin: twice the contract's default `concurrency_limit` of 64."""

WARM_LIMIT = 10.0
"""Seconds that warming up may take."""


@dataclass(slots=True)
class _Bucket:
    idle: collections.deque[Connection] = field(default_factory=collections.deque)
    open: int = 0
    """Connections that are busy or being dialled."""
    waiters: collections.deque[asyncio.Future[None]] = field(default_factory=collections.deque)
    warming: int = 0


class Pool:
    """`Upstream` over real sockets. `via(origin)` names the operator's proxy, None for a direct way."""

    def __init__(
        self,
        tls: TlsSettings | None = None,
        via: Callable[[Origin], Via | None] = lambda _: None,
        *,
        per_origin: int = PER_ORIGIN,
        idle_limit: float = IDLE_LIMIT,
    ) -> None:
        self.tls = tls or TlsSettings()
        self.via = via
        self._per_origin = per_origin
        self._idle_limit = idle_limit
        self._buckets: dict[Origin, _Bucket] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._warmers: set[asyncio.Task[None]] = set()
        self._closed = False

    def __repr__(self) -> str:
        idle = sum(len(b.idle) for b in self._buckets.values())
        return f"<Pool {len(self._buckets)} origins, {sum(b.open for b in self._buckets.values())} busy, {idle} idle>"

    async def send(self, request: WireRequest, timeouts: Timeouts) -> UpstreamResponse:
        """See `Upstream.send`."""
        bucket = self._buckets.setdefault(request.origin, _Bucket())
        while True:
            connection, fresh = await self._acquire(request.origin, bucket, timeouts)
            try:
                response = await connection.exchange(request, timeouts)
            except UpstreamError as e:
                self._release(bucket, connection)
                if e.stage == "connect" and not fresh:
                    continue  # it had closed while idle, and nothing of the request was written
                raise
            except BaseException:
                self._release(bucket, connection)
                raise
            response.on_release = functools.partial(self._release, bucket, connection)  # type: ignore[method-assign]
            return response

    def warm(self, origin: Origin) -> None:
        """Dial ahead when no connection is at hand: the request will find one. Sends nothing; failures are silent."""
        bucket = self._buckets.setdefault(origin, _Bucket())
        if self._closed or bucket.idle or bucket.warming or bucket.open >= self._per_origin:
            return
        bucket.warming += 1
        bucket.open += 1
        task = asyncio.ensure_future(self._warm(origin, bucket))
        self._warmers.add(task)
        task.add_done_callback(self._warmers.discard)

    def configure(self, tls: TlsSettings, via: Callable[[Origin], Via | None]) -> None:
        """Take new settings; idle connections made under the old ones are closed."""
        if tls != self.tls:
            self._close_idle()
        self.tls, self.via = tls, via

    async def aclose(self) -> None:
        """See `Upstream.aclose`."""
        self.close()
        await asyncio.sleep(0)

    def close(self) -> None:
        """Abort every idle connection now; busy ones end with their exchanges."""
        self._closed = True
        for task in self._warmers:
            task.cancel()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._close_idle()

    def _close_idle(self) -> None:
        for bucket in self._buckets.values():
            while bucket.idle:
                bucket.idle.pop().abort()

    async def _acquire(self, origin: Origin, bucket: _Bucket, timeouts: Timeouts) -> tuple[Connection, bool]:
        while True:
            while bucket.idle:
                connection = bucket.idle.pop()
                if connection.reusable:
                    bucket.open += 1
                    connection.info.reused = True
                    return connection, False
            if bucket.open < self._per_origin and not bucket.warming:
                bucket.open += 1
                try:
                    return await dial(origin, self.tls, self.via(origin), timeouts.connect), True
                except BaseException:
                    self._freed(bucket)
                    raise
            await self._wait(bucket, timeouts)

    async def _wait(self, bucket: _Bucket, timeouts: Timeouts) -> None:
        """Wait for a place or for the connection that is being warmed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        bucket.waiters.append(waiter)
        try:
            async with asyncio.timeout(timeouts.head):
                await waiter
        except TimeoutError:
            raise UpstreamError("connect", "no free connection", sent=Sent.NOTHING, timeout=True) from None
        finally:
            if waiter in bucket.waiters:
                bucket.waiters.remove(waiter)

    async def _warm(self, origin: Origin, bucket: _Bucket) -> None:
        try:
            connection = await dial(origin, self.tls, self.via(origin), WARM_LIMIT)
        except UpstreamError:
            bucket.warming -= 1
            self._freed(bucket, everyone=True)
            return
        except BaseException:
            bucket.warming -= 1
            self._freed(bucket, everyone=True)
            raise
        bucket.warming -= 1
        self._release(bucket, connection, everyone=True)

    def _release(self, bucket: _Bucket, connection: Connection, *, everyone: bool = False) -> None:
        connection.response = None
        if connection.reusable and not self._closed:
            connection.idle_since = asyncio.get_running_loop().time()
            bucket.idle.append(connection)
            self._schedule_sweep()
        elif not connection.closed:
            connection.abort()
        self._freed(bucket, everyone=everyone)

    def _freed(self, bucket: _Bucket, *, everyone: bool = False) -> None:
        bucket.open -= 1
        while bucket.waiters:
            waiter = bucket.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                if not everyone:
                    return

    def _schedule_sweep(self) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_limit / 4, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        oldest = asyncio.get_running_loop().time() - self._idle_limit
        left = False
        for bucket in self._buckets.values():
            while bucket.idle and (bucket.idle[0].idle_since < oldest or not bucket.idle[0].reusable):
                bucket.idle.popleft().abort()
            left = left or bool(bucket.idle)
        if left:
            self._schedule_sweep()
