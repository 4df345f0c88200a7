"""The scripted upstream keeps the promises of the interface, as the pool does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from bytewise import body_of, get

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import Origin, Timeouts, Upstream, UpstreamError, WireRequest
from mitm_balancer.upstream.fake import FOREVER, FakeUpstream, Reply
from mitm_balancer.upstream.pool import Pool

ORIGIN = Origin("https", "api.example", 443)
REFUSED = UpstreamError("connect", "refused", sent=Sent.NOTHING)


class _Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def test_both_are_upstreams() -> None:
    upstreams: list[Upstream] = [FakeUpstream(), Pool()]
    for upstream in upstreams:
        await upstream.aclose()
        with pytest.raises(UpstreamError, match="closed") as failed:
            await upstream.send(get(ORIGIN), Timeouts())
        assert (failed.value.stage, failed.value.sent) == ("connect", Sent.NOTHING)


async def test_the_script_runs_in_order() -> None:
    upstream = FakeUpstream(
        Reply(429, ((b"retry-after", b"7"),), [b"slow ", b"down"]),
        REFUSED,
        lambda request: Reply(200, body=[request.target]),
        otherwise=Reply(503),
    )

    first = await upstream.send(get(ORIGIN), Timeouts())
    assert (first.status, first.headers) == (429, ((b"retry-after", b"7"),))
    assert await first.read() == b"slow "
    assert await body_of(first) == b"down"
    with pytest.raises(UpstreamError, match="refused"):
        await upstream.send(get(ORIGIN), Timeouts())
    assert await body_of(await upstream.send(get(ORIGIN), Timeouts())) == b"/"
    for _ in range(2):
        assert (await upstream.send(get(ORIGIN), Timeouts())).status == 503
    assert len(upstream.asked) == 5
    assert upstream.open == 2


async def test_a_request_beyond_the_script_is_an_error_of_the_test() -> None:
    with pytest.raises(AssertionError, match="request 1"):
        await FakeUpstream().send(get(ORIGIN), Timeouts())


async def test_limits_hold_as_in_the_pool() -> None:
    clock = _Clock()
    upstream = FakeUpstream(Reply(after=5.0), Reply(after=FOREVER), Reply(body=[b"x", FOREVER]), sleep=clock.sleep)

    assert (await upstream.send(get(ORIGIN), Timeouts(head=10))).status == 200
    assert clock.now == 5
    with pytest.raises(UpstreamError) as failed:
        await upstream.send(get(ORIGIN), Timeouts(head=10))
    assert (failed.value.stage, failed.value.sent, failed.value.timeout, clock.now) == ("head", Sent.ALL, True, 15)
    response = await upstream.send(get(ORIGIN), Timeouts(idle=3))
    assert await response.read() == b"x"
    with pytest.raises(UpstreamError) as failed:
        await response.read()
    assert (failed.value.stage, failed.value.timeout, clock.now) == ("body", True, 18)


async def test_cuts_trailers_and_closing() -> None:
    cut = UpstreamError("body", "reset", sent=Sent.ALL)
    upstream = FakeUpstream(Reply(body=[b"half", cut]), Reply(body=[b"all"], trailers=((b"x", b"y"),)))

    broken = await upstream.send(get(ORIGIN), Timeouts())
    assert await broken.read() == b"half"
    for _ in range(2):
        with pytest.raises(UpstreamError, match="reset"):
            await broken.read()
    broken.close()
    assert broken.aborted
    good = await upstream.send(get(ORIGIN), Timeouts())
    assert not good.trailers
    assert await body_of(good) == b"all"
    assert (good.trailers, good.aborted, upstream.open) == (((b"x", b"y"),), False, 0)


async def test_bodies_are_read_unless_the_answer_is_early() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    lost = UpstreamError("head", "closed", sent=Sent.ALL)
    upstream = FakeUpstream(Reply(), Reply(), Reply(413, early=True), REFUSED, lost)
    bodies: list[bytes | AsyncIterator[bytes]] = [b"plain", chunks(), chunks(), b"unsent", b"sent"]
    for body in bodies:
        with contextlib.suppress(UpstreamError):
            await upstream.send(WireRequest(ORIGIN, b"POST", b"/", (), body), Timeouts())

    assert [a.body for a in upstream.asked] == [b"plain", b"onetwo", b"", b"", b"sent"]


async def test_cancelling_shows() -> None:
    upstream = FakeUpstream(Reply(after=FOREVER))
    task = asyncio.ensure_future(upstream.send(get(ORIGIN), Timeouts(head=None)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert upstream.asked[0].cancelled
    assert upstream.asked[0].response is None


async def test_an_upgrade_takes_what_is_written() -> None:
    upstream = FakeUpstream(Reply(101))
    response = await upstream.send(get(ORIGIN), Timeouts())
    response.write(b"frame")

    assert response.written == [b"frame"]
