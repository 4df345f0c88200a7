"""The pool: connections to providers, shared by all client connections, kept warm, bounded per origin.

Last in, first out: the connection that was used last is the least likely to have been closed by the provider. The
bookkeeping is synchronous; only dialling waits.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import weakref
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
    waiters: collections.deque[asyncio.Future[Connection | None]] = field(default_factory=collections.deque)
    """First come, first served. A result is a place among `open`, with a connection when one was at hand."""
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
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._epoch = 0
        self._closed = False

    def __repr__(self) -> str:
        idle = sum(len(b.idle) for b in self._buckets.values())
        return f"<Pool {len(self._buckets)} origins, {sum(b.open for b in self._buckets.values())} busy, {idle} idle>"

    async def send(self, request: WireRequest, timeouts: Timeouts) -> UpstreamResponse:
        """See `Upstream.send`."""
        bucket = self._buckets.setdefault(request.origin, _Bucket())
        while True:
            connection, fresh = await self._acquire(request.origin, bucket, timeouts, only_fresh=request.fresh)
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
        if self._closed or self._has_idle(bucket) or bucket.warming or bucket.open >= self._per_origin:
            return
        bucket.warming += 1
        bucket.open += 1
        task = asyncio.ensure_future(self._warm(origin, bucket))
        self._warmers.add(task)
        task.add_done_callback(self._warmers.discard)

    def configure(self, tls: TlsSettings, via: Callable[[Origin], Via | None]) -> None:
        """Take new settings. No request uses a connection made under the old ones; those that are busy end first."""
        if tls != self.tls or via != self.via:
            self._epoch += 1
            self._close_idle()
        self.tls, self.via = tls, via

    async def aclose(self) -> None:
        """See `Upstream.aclose`."""
        self.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*self._warmers, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next turn

    def close(self) -> None:
        """Abort every idle connection now; busy ones end with their exchanges. Nothing more can be sent."""
        self._closed = True
        for task in self._warmers:
            task.cancel()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._close_idle()
        for bucket in self._buckets.values():
            for waiter in bucket.waiters:
                if not waiter.done():
                    waiter.set_exception(_closed())
            bucket.waiters.clear()

    def _close_idle(self) -> None:
        for bucket in self._buckets.values():
            while bucket.idle:
                bucket.idle.pop().abort()

    # -- places -------------------------------------------------------------------------------------------------

    async def _acquire(
        self, origin: Origin, bucket: _Bucket, timeouts: Timeouts, *, only_fresh: bool
    ) -> tuple[Connection, bool]:
        """A connection that counts among `open`, and whether it is fresh."""
        connection = await self._place(bucket, timeouts)
        if connection is not None and (only_fresh or not connection.reusable):
            connection.abort()
            connection = None  # it was lost on the way here, or is not wanted
        if connection is None and not only_fresh and self._has_idle(bucket):
            connection = bucket.idle.pop()
        if connection is not None:
            connection.info.reused = True
            return connection, False
        try:
            return await self._dial(origin, timeouts.connect), True
        except BaseException:
            self._freed(bucket)
            raise

    async def _place(self, bucket: _Bucket, timeouts: Timeouts) -> Connection | None:
        """Take a place at once, or in turn. One request waits for the connection that is being warmed."""
        free = bucket.open < self._per_origin and not self._closed
        if free and (bucket.idle or len(bucket.waiters) >= bucket.warming):
            bucket.open += 1
            return None
        if self._closed:
            raise _closed()
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        bucket.waiters.append(waiter)
        try:
            async with asyncio.timeout(timeouts.head):
                return await waiter
        except BaseException as e:
            if waiter in bucket.waiters:
                bucket.waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(bucket, waiter.result())  # given a place in the very moment of giving up
            if isinstance(e, TimeoutError):
                raise UpstreamError("connect", "no free connection", sent=Sent.NOTHING, timeout=True) from None
            raise

    async def _dial(self, origin: Origin, limit: float | None) -> Connection:
        epoch = self._epoch
        connection = await dial(origin, self.tls, self.via(origin), limit)
        connection.epoch = epoch
        self._connections.add(connection)
        if self._closed:
            connection.abort()
            raise _closed()
        return connection

    async def _warm(self, origin: Origin, bucket: _Bucket) -> None:
        connection = None
        try:
            connection = await self._dial(origin, WARM_LIMIT)
        except UpstreamError:
            pass  # the request that follows will see for itself
        finally:
            bucket.warming -= 1
            self._pass_on(bucket, connection)

    def _release(self, bucket: _Bucket, connection: Connection) -> None:
        """An exchange is over: its place, and the connection if it is still good, go to whoever waits longest."""
        connection.response = None
        self._pass_on(bucket, connection)

    def _freed(self, bucket: _Bucket) -> None:
        self._pass_on(bucket, None)

    def _pass_on(self, bucket: _Bucket, connection: Connection | None) -> None:
        if connection is not None and (self._closed or connection.epoch != self._epoch or not connection.reusable):
            connection.abort()
            connection = None
        while bucket.waiters:
            waiter = bucket.waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        bucket.open -= 1
        if connection is not None:
            connection.idle_since = asyncio.get_running_loop().time()
            bucket.idle.append(connection)
            self._schedule_sweep()

    def _has_idle(self, bucket: _Bucket) -> bool:
        """Whether the connection used last is good; those that are not are dropped on the way to it."""
        now = asyncio.get_running_loop().time()
        while bucket.idle:
            connection = bucket.idle[-1]
            if now - connection.idle_since <= self._idle_limit and connection.reusable and not connection.stale:
                return True
            bucket.idle.pop().abort()
        return False

    # -- idle ---------------------------------------------------------------------------------------------------

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


def _closed() -> UpstreamError:
    return UpstreamError("connect", "the pool is closed", sent=Sent.NOTHING)
