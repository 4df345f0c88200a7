"""Connections are shared, kept warm, bounded, handed out in turn, and never used when they may be dead."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket

import pytest
from bytewise import LIMITS, Peer, RawServer, answer, body_of, echo_ok, get, serve

from mitm_balancer.core.verdict import Sent
from mitm_balancer.testing import Leaf
from mitm_balancer.upstream.base import Timeouts, UpstreamError
from mitm_balancer.upstream.dial import Via
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.upstream.tls import TlsSettings


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_one_after_another_share_a_connection(pool: Pool, leaf: Leaf, secure: bool) -> None:
    async with RawServer(echo_ok, leaf.context if secure else None) as server:
        for number in range(50):
            response = await pool.send(get(server.origin("localhost")), LIMITS)
            assert response.info.reused is (number > 0)
            assert await body_of(response) == b"ok"
        assert server.accepted == 1
        assert repr(pool) == "<Pool 1 origins, 0 busy, 1 idle>"


async def test_side_by_side_each_has_its_own(pool: Pool) -> None:
    async with RawServer(echo_ok) as server:
        responses = await asyncio.gather(*(pool.send(get(server.origin()), LIMITS) for _ in range(10)))
        assert repr(pool) == "<Pool 1 origins, 10 busy, 0 idle>"
        for response in responses:
            assert await body_of(response) == b"ok"
        assert server.accepted == 10
        assert repr(pool) == "<Pool 1 origins, 0 busy, 10 idle>"


async def test_an_unread_answer_is_not_kept(pool: Pool) -> None:
    async with RawServer(serve(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")) as server:
        response = await pool.send(get(server.origin()), LIMITS)
        response.close()
        response.close()
        assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"


async def test_the_connection_used_last_is_used_first(pool: Pool) -> None:
    async with RawServer(echo_ok) as server:
        first, second = [await pool.send(get(server.origin()), LIMITS) for _ in range(2)]
        ports = (first.info.sockname, second.info.sockname)
        await body_of(second)
        await body_of(first)
        third = await pool.send(get(server.origin()), LIMITS)
        assert third.info.sockname == ports[0]
        await body_of(third)


# -- idle connections -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_closed_while_idle(pool: Pool, leaf: Leaf, how: str, secure: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer())
        await asyncio.sleep(0.01)
        if how == "rst":
            peer.reset()

    async with RawServer(script, leaf.context if secure else None) as server:
        for _ in range(3):
            assert await body_of(await pool.send(get(server.origin("localhost")), LIMITS)) == b"ok"
            await asyncio.sleep(0.05)
        assert server.accepted == 3


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_closed_while_idle_and_the_loop_has_not_noticed(pool: Pool, leaf: Leaf, secure: bool) -> None:
    """The EOF waits in the kernel, because the loop was busy: the socket itself is asked before it is used."""
    async with RawServer(echo_ok, leaf.context if secure else None) as server:
        assert await body_of(await pool.send(get(server.origin("localhost")), LIMITS)) == b"ok"
        (writer,) = server._running.values()
        with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as sock:
            sock.shutdown(socket.SHUT_RDWR)  # and no turn of the loop from here on

        assert await body_of(await pool.send(get(server.origin("localhost")), LIMITS)) == b"ok"
        assert server.accepted == 2


async def test_an_idle_connection_grows_old(trusting: TlsSettings) -> None:
    """It is not used beyond its limit, whether or not the sweeper has been there, and the sweeper closes it."""
    pool = Pool(trusting, idle_limit=0.1)
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await echo_ok(peer)
        gone.set()

    async with RawServer(script) as server:
        await body_of(await pool.send(get(server.origin()), LIMITS))
        assert pool._sweeper is not None
        pool._sweeper.cancel()
        pool._sweeper = None
        await asyncio.sleep(0.11)
        assert not gone.is_set()
        await body_of(await pool.send(get(server.origin()), LIMITS))
        assert server.accepted == 2
        gone.clear()
        await asyncio.wait_for(gone.wait(), 10)
        assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"
        await pool.aclose()


# -- the bound --------------------------------------------------------------------------------------------------


async def test_the_bound_holds_and_places_go_in_turn(trusting: TlsSettings) -> None:
    pool = Pool(trusting, per_origin=2)
    order: list[int] = []
    most = 0

    async def one(number: int, origin_of: RawServer) -> None:
        nonlocal most
        response = await pool.send(get(origin_of.origin()), LIMITS)
        order.append(number)
        most = max(most, sum(b.open for b in pool._buckets.values()))
        await asyncio.sleep(0.002)
        await body_of(response)

    async with RawServer(echo_ok) as server:
        await asyncio.gather(*(one(number, server) for number in range(20)))
        assert sorted(order) == list(range(20))
        assert all(abs(place - number) <= 1 for place, number in enumerate(order))  # two run side by side
        assert (most, server.accepted) == (2, 2)
        assert repr(pool) == "<Pool 1 origins, 0 busy, 2 idle>"
        await pool.aclose()


async def test_a_newcomer_does_not_overtake(trusting: TlsSettings) -> None:
    pool = Pool(trusting, per_origin=1)
    order: list[str] = []

    async def one(name: str) -> None:
        response = await pool.send(get(server.origin()), LIMITS)
        order.append(name)
        await body_of(response)

    async with RawServer(echo_ok) as server:
        holder = await pool.send(get(server.origin()), LIMITS)
        waiting = asyncio.ensure_future(one("waiting"))
        await asyncio.sleep(0.01)
        newcomer = asyncio.ensure_future(one("newcomer"))
        await body_of(holder)  # the place is free, and the newcomer's first step comes next
        await asyncio.gather(waiting, newcomer)
        await pool.aclose()

    assert order == ["waiting", "newcomer"]


async def test_giving_up_in_the_moment_of_being_served_passes_the_place_on(trusting: TlsSettings) -> None:
    pool = Pool(trusting, per_origin=1)
    async with RawServer(echo_ok) as server:
        holder = await pool.send(get(server.origin()), LIMITS)
        first = asyncio.ensure_future(pool.send(get(server.origin()), LIMITS))
        second = asyncio.ensure_future(pool.send(get(server.origin()), LIMITS))
        await asyncio.sleep(0.01)
        await body_of(holder)  # hands the place to the first...
        first.cancel()  # ...who is gone before it can take it

        assert await body_of(await asyncio.wait_for(second, 10)) == b"ok"
        with pytest.raises(asyncio.CancelledError):
            await first
        assert repr(pool) == "<Pool 1 origins, 0 busy, 1 idle>"
        assert server.accepted == 1
        await pool.aclose()


async def test_cancelled_while_waiting(trusting: TlsSettings) -> None:
    pool = Pool(trusting, per_origin=1)
    async with RawServer(echo_ok) as server:
        holder = await pool.send(get(server.origin()), LIMITS)
        first = asyncio.ensure_future(pool.send(get(server.origin()), LIMITS))
        second = asyncio.ensure_future(pool.send(get(server.origin()), LIMITS))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        await body_of(holder)
        assert await body_of(await asyncio.wait_for(second, 10)) == b"ok"
        assert repr(pool) == "<Pool 1 origins, 0 busy, 1 idle>"
        await pool.aclose()


async def test_no_place_in_time(trusting: TlsSettings) -> None:
    pool = Pool(trusting, per_origin=1)
    async with RawServer(echo_ok) as server:
        holder = await pool.send(get(server.origin()), LIMITS)
        with pytest.raises(UpstreamError) as failed:
            await pool.send(get(server.origin()), dataclasses.replace(LIMITS, head=0.05))
        assert (failed.value.stage, failed.value.sent, failed.value.timeout) == ("connect", Sent.NOTHING, True)
        await body_of(holder)
        assert repr(pool) == "<Pool 1 origins, 0 busy, 1 idle>"
        await pool.aclose()


async def test_a_failed_exchange_frees_its_place(trusting: TlsSettings) -> None:
    pool = Pool(trusting, per_origin=1)

    async def script(peer: Peer) -> None:
        await peer.head()

    async with RawServer(script) as server:
        for _ in range(5):
            with pytest.raises(UpstreamError):
                await asyncio.wait_for(pool.send(get(server.origin()), LIMITS), 10)
        await pool.aclose()


# -- warming ----------------------------------------------------------------------------------------------------


async def test_a_warmed_connection_is_found_by_the_request(pool: Pool, leaf: Leaf) -> None:
    async with RawServer(echo_ok, leaf.context) as server:
        origin = server.origin("localhost")
        for _ in range(3):
            pool.warm(origin)  # several at once are one
        response = await pool.send(get(origin), LIMITS)  # waits for it
        assert response.info.reused
        assert await body_of(response) == b"ok"
        pool.warm(origin)  # there is one at hand
        await asyncio.sleep(0.02)
        assert server.accepted == 1


async def test_only_one_request_waits_for_the_warm_connection(pool: Pool, leaf: Leaf) -> None:
    async with RawServer(echo_ok, leaf.context) as server:
        pool.warm(server.origin("localhost"))
        responses = await asyncio.gather(*(pool.send(get(server.origin("localhost")), LIMITS) for _ in range(4)))
        assert sorted(r.info.reused for r in responses) == [False, False, False, True]
        for response in responses:
            await body_of(response)
        assert server.accepted == 4


async def test_warming_that_fails_is_silent_and_the_request_sees_for_itself(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1)

    async with RawServer(script) as server:
        origin = dataclasses.replace(server.origin("localhost"), scheme="https")
        pool.warm(origin)
        with pytest.raises(UpstreamError) as failed:
            await asyncio.wait_for(pool.send(get(origin), LIMITS), 10)
        assert failed.value.stage == "tls"
        assert server.accepted == 2
        assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"


# -- settings and the end ---------------------------------------------------------------------------------------


async def test_new_settings_leave_the_old_connections_behind(pool: Pool, trusting: TlsSettings, leaf: Leaf) -> None:
    """What was connected unverified, or through another proxy, serves no request any more: idle or busy then."""
    async with RawServer(echo_ok, leaf.context) as server:
        origin = server.origin("localhost")
        pool.configure(TlsSettings(insecure=True), pool.via)
        idle, busy = [await pool.send(get(origin), LIMITS) for _ in range(2)]
        await body_of(idle)
        pool.configure(trusting, pool.via)
        assert await body_of(busy) == b"ok"
        assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"
        await body_of(await pool.send(get(origin), LIMITS))
        pool.configure(trusting, lambda _: Via("http", "127.0.0.1", 1))
        assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"
        assert server.accepted == 3


async def test_the_same_settings_change_nothing(pool: Pool, trusting: TlsSettings) -> None:
    async with RawServer(echo_ok) as server:
        await body_of(await pool.send(get(server.origin()), LIMITS))
        pool.configure(dataclasses.replace(trusting), pool.via)
        assert repr(pool) == "<Pool 1 origins, 0 busy, 1 idle>"


async def test_aclose_ends_all(trusting: TlsSettings) -> None:
    """Idle, busy, dialling and waiting ones; and nothing can be sent afterwards."""
    pool = Pool(trusting, per_origin=1)
    left = 0

    async def streaming(peer: Peer) -> None:
        nonlocal left
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nstreaming")
        await peer.gone()
        left += 1

    async def idling(peer: Peer) -> None:
        nonlocal left
        await echo_ok(peer)
        left += 1

    async def silent(peer: Peer) -> None:
        nonlocal left
        await peer.gone()
        left += 1

    async with RawServer(streaming) as server, RawServer(idling) as other, RawServer(silent) as third:
        busy = await pool.send(get(server.origin()), LIMITS)
        assert await busy.read() == b"streaming"
        await body_of(await pool.send(get(other.origin()), LIMITS))
        waiting = asyncio.ensure_future(pool.send(get(server.origin()), LIMITS))
        pool.warm(dataclasses.replace(third.origin(), scheme="https"))
        while not third.accepted:
            await asyncio.sleep(0.001)

        await pool.aclose()

        with pytest.raises(UpstreamError, match="closed"):
            await waiting
        with pytest.raises(UpstreamError, match="closed"):
            await pool.send(get(server.origin()), Timeouts())
        with pytest.raises(UpstreamError):
            await busy.read()
        busy.close()
        await pool.aclose()
        await asyncio.sleep(0.02)
        assert left == 3
