"""The scripted `Upstream`: answers in the order of a list, without a socket.

    upstream = FakeUpstream(Reply(429), UpstreamError("head", "reset", sent=Sent.ALL), Reply(200, body=[b"ok"]))

Time passes through `sleep` alone, so a test with a clock of its own gives its own. The limits of `Timeouts` hold as
they do in the real pool: a reply that is later than they allow becomes the same UpstreamError.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import ConnInfo, RawHeaders, Timeouts, UpstreamError, WireRequest

FOREVER = math.inf
"""As a pause: until a limit of ours or a cancellation ends it."""

type Part = bytes | float | UpstreamError
"""Of a body: bytes that arrive, seconds of silence, or the error that cuts it."""

type Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer."""

    status: int = 200
    headers: RawHeaders = ()
    body: Sequence[Part] = ()
    after: float = 0.0
    """Seconds from the end of the request to the head."""
    trailers: RawHeaders = ()
    early: bool = False
    """The answer comes before the body is read: an iterator is not touched."""


type Step = Reply | UpstreamError | Callable[[WireRequest], Reply | UpstreamError]
"""A function is asked when its turn comes."""


@dataclass(slots=True)
class Asked:
    """One request as it was received, and what became of it."""

    request: WireRequest
    timeouts: Timeouts
    body: bytes = b""
    """What was read of it, iterators included."""
    response: FakeResponse | None = None
    cancelled: bool = False
    """The caller gave up before there was a head."""


class FakeUpstream:
    """`Upstream` from a script. `otherwise` answers when the script is over; without it the test is wrong, and told."""

    def __init__(self, *steps: Step, otherwise: Step | None = None, sleep: Sleep = asyncio.sleep) -> None:
        self.steps = list(steps)
        self.otherwise = otherwise
        self.sleep = sleep
        self.asked: list[Asked] = []
        self.closed = False

    @property
    def open(self) -> int:
        """Responses that nobody has closed yet."""
        return sum(a.response is not None and not a.response.closed for a in self.asked)

    async def send(self, request: WireRequest, timeouts: Timeouts) -> FakeResponse:
        """See `Upstream.send`."""
        if self.closed:
            raise UpstreamError("connect", "the upstream is closed", sent=Sent.NOTHING)
        asked = Asked(request, timeouts)
        self.asked.append(asked)
        try:
            return await self._answer(asked, self._next(request))
        except asyncio.CancelledError:
            asked.cancelled = True
            raise

    async def aclose(self) -> None:
        """See `Upstream.aclose`."""
        self.closed = True
        for asked in self.asked:
            if asked.response is not None:
                asked.response.close()

    def _next(self, request: WireRequest) -> Reply | UpstreamError:
        step = self.steps.pop(0) if self.steps else self.otherwise
        if step is None:
            raise AssertionError(f"nothing in the script for request {len(self.asked)}")
        return step(request) if callable(step) else step

    async def _answer(self, asked: Asked, reply: Reply | UpstreamError) -> FakeResponse:
        if isinstance(reply, UpstreamError):
            if reply.sent is Sent.ALL:
                await self._read(asked)
            raise reply
        if not reply.early:
            await self._read(asked)
        limit = asked.timeouts.head
        if limit is not None and reply.after > limit:
            await self.sleep(limit)
            raise UpstreamError("head", f"no response head within {limit:g} s", sent=Sent.ALL, timeout=True)
        await pause(reply.after, self.sleep)
        asked.response = FakeResponse(reply, ConnInfo(asked.request.origin), asked.timeouts.idle, self.sleep)
        return asked.response

    async def _read(self, asked: Asked) -> None:
        body = asked.request.body
        if isinstance(body, bytes):
            asked.body = body
            return
        async for chunk in body:
            asked.body += chunk


class FakeResponse:
    """`UpstreamResponse` from a `Reply`."""

    def __init__(self, reply: Reply, info: ConnInfo, idle: float | None, sleep: Sleep) -> None:
        self.reply, self.info, self.idle, self.sleep = reply, info, idle, sleep
        self.status = reply.status
        self.reason = b"Scripted"
        self.http_version = b"HTTP/1.1"
        self.headers = reply.headers
        self.trailers: RawHeaders = ()
        self.written: list[bytes] = []
        """What came after a 101."""
        self.complete = False
        """The body was read to its clean end."""
        self.closed = False
        self._position = 0

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`. One scripted chunk at a time."""
        if self.closed and not self.complete:
            raise UpstreamError("body", "read after close", sent=Sent.ALL)
        while self._position < len(self.reply.body):
            part = self.reply.body[self._position]
            if isinstance(part, UpstreamError):
                raise part  # and again, when asked again
            if isinstance(part, float | int):
                await self._silence(part)
            self._position += 1
            if isinstance(part, bytes) and part:
                return part
        self.complete = True
        self.trailers = self.reply.trailers
        return b""

    def write(self, data: bytes) -> None:
        """After a 101: bytes for the provider."""
        self.written.append(data)

    def close(self) -> None:
        """See `UpstreamResponse.close`."""
        self.closed = True

    @property
    def aborted(self) -> bool:
        """Closed before its end: a real provider would have seen a reset."""
        return self.closed and not self.complete

    async def _silence(self, seconds: float) -> None:
        if self.idle is not None and seconds > self.idle:
            await self.sleep(self.idle)
            raise UpstreamError("body", f"silent for {self.idle:g} s", sent=Sent.ALL, timeout=True)
        await pause(seconds, self.sleep)


async def pause(seconds: float, sleep: Sleep) -> None:
    """Sleep; `FOREVER` only ends by cancellation."""
    if seconds == FOREVER:
        await asyncio.Event().wait()
    elif seconds > 0:
        await sleep(seconds)
