"""How an exchange fails: which stage, how much had left, and that nothing of it is used again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from bytewise import LIMITS, Peer, RawServer, answer, body_of, get

from mitm_balancer.core.verdict import Sent
from mitm_balancer.testing import Leaf
from mitm_balancer.upstream.base import Timeouts, UpstreamError, WireRequest
from mitm_balancer.upstream.pool import Pool

BIG = 20_000_000
"""Bytes: more than the sockets' buffers of both sides take."""


def _post(server: RawServer, body: bytes | AsyncIterator[bytes], size: int) -> WireRequest:
    return WireRequest(server.origin(_host(server)), b"POST", b"/", ((b"content-length", b"%d" % size),), body)


def _host(server: RawServer) -> str:
    return "localhost" if server.context is not None else "127.0.0.1"


async def test_closed_after_the_request(pool: Pool) -> None:
    """The whole request left and nothing came back: ambiguous (P5)."""

    async def script(peer: Peer) -> None:
        await peer.head()

    async with RawServer(script) as server:
        with pytest.raises(UpstreamError) as failed:
            await pool.send(get(server.origin()), LIMITS)

    assert (failed.value.stage, failed.value.sent, failed.value.timeout) == ("head", Sent.ALL, False)
    assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"


async def test_reset_before_the_head(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.reset()

    async with RawServer(script) as server:
        with pytest.raises(UpstreamError) as failed:
            await pool.send(get(server.origin()), LIMITS)

    assert (failed.value.stage, failed.value.sent) == ("head", Sent.ALL)


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_reset_while_the_body_leaves(pool: Pool, leaf: Leaf, secure: bool) -> None:
    """An unfinished request is billed by nobody: `partial`, under TLS too."""

    async def script(peer: Peer) -> None:
        await peer.head()
        peer.reset()

    async with RawServer(script, leaf.context if secure else None) as server:
        with pytest.raises(UpstreamError) as failed:
            await pool.send(_post(server, bytes(BIG), BIG), LIMITS)

    assert (failed.value.stage, failed.value.sent) == ("head", Sent.PARTIAL)


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
async def test_cut_in_the_body(pool: Pool, start: bytes, how: str) -> None:
    """What arrived is read first, then the cut shows."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(start)
        await asyncio.sleep(0.02)
        if how == "rst":
            peer.reset()

    async with RawServer(script) as server:
        response = await pool.send(get(server.origin()), LIMITS)
        await asyncio.sleep(0.05)
        assert await response.read() == b"half"
        with pytest.raises(UpstreamError) as failed:
            await response.read()
        with pytest.raises(UpstreamError):
            await response.read()
        response.close()

    assert failed.value.stage == "body"
    assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"


async def test_no_head_in_time(pool: Pool) -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 O")
        await peer.gone()
        gone.set()

    async with RawServer(script) as server:
        with pytest.raises(UpstreamError, match=r"0\.05 s") as failed:
            await pool.send(get(server.origin()), Timeouts(head=0.05))
        await asyncio.wait_for(gone.wait(), 10)  # the provider is told at once

    assert (failed.value.stage, failed.value.sent, failed.value.timeout) == ("head", Sent.ALL, True)


async def test_the_head_time_starts_when_the_body_has_left(pool: Pool) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x"
            await asyncio.sleep(0.05)

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.exactly(4)
        await peer.send(answer())
        await peer.gone()

    async with RawServer(script) as server:
        response = await pool.send(_post(server, body(), 4), Timeouts(head=0.15))
        assert await body_of(response) == b"ok"


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("iterated", [False, True], ids=["bytes", "iterator"])
async def test_a_server_that_takes_nothing_runs_into_the_limit(
    pool: Pool, leaf: Leaf, secure: bool, iterated: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BIG // 100_000):
            yield bytes(100_000)

    async def script(peer: Peer) -> None:
        await peer.head()
        peer.writer.transport.pause_reading()
        await done.wait()

    done = asyncio.Event()
    async with RawServer(script, leaf.context if secure else None) as server:
        with pytest.raises(UpstreamError) as failed:
            await pool.send(_post(server, chunks() if iterated else bytes(BIG), BIG), Timeouts(head=0.2))
        done.set()

    assert (failed.value.stage, failed.value.sent, failed.value.timeout) == ("write", Sent.PARTIAL, True)


async def test_silence_in_the_body(pool: Pool) -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        for _ in range(4):  # longer than the limit in sum: each read has its own
            await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" if _ == 0 else b"1\r\nx\r\n")
            await asyncio.sleep(0.06)
        await peer.gone()
        gone.set()

    async with RawServer(script) as server:
        response = await pool.send(get(server.origin()), Timeouts(idle=0.1))
        with pytest.raises(UpstreamError, match=r"0\.1 s") as failed:
            await body_of(response)
        await asyncio.wait_for(gone.wait(), 10)

    assert (failed.value.stage, failed.value.timeout) == ("body", True)


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("iterated", [False, True], ids=["bytes", "iterator"])
async def test_an_early_refusal_ends_the_upload(pool: Pool, leaf: Leaf, secure: bool, iterated: bool) -> None:
    """413 while the body is on its way: the answer is given at once, and the connection is not used again."""
    asked = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield bytes(100_000)

    async def script(peer: Peer) -> None:
        await peer.head()
        if server.accepted == 1:
            await peer.exactly(100_000)
            await peer.send(answer(b"too large", status=b"413 Too Large"))
            await asyncio.sleep(0.1)
            await peer.gone()
        else:
            await peer.send(answer())
            await peer.gone()

    async with RawServer(script, leaf.context if secure else None) as server:
        response = await pool.send(_post(server, chunks() if iterated else bytes(BIG), BIG), LIMITS)
        assert response.status == 413
        assert await body_of(response) == b"too large"
        assert asked * 100_000 < BIG
        assert await body_of(await pool.send(get(server.origin(_host(server))), LIMITS)) == b"ok"
        assert server.accepted == 2


async def test_a_refusal_is_seen_while_the_client_is_slow(pool: Pool) -> None:
    """The answer does not wait for the client's next chunk, and the iterator is let go."""
    let_go = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"x"
            await asyncio.sleep(60)
        finally:
            let_go.set()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer(b"no", status=b"401 No"))
        await peer.gone()

    async with RawServer(script) as server:
        response = await asyncio.wait_for(pool.send(_post(server, chunks(), 2), LIMITS), 10)
        assert response.status == 401
        assert await body_of(response) == b"no"
        assert let_go.is_set()


@pytest.mark.parametrize("iterated", [False, True], ids=["bytes", "iterator"])
async def test_an_early_success_does_not_end_the_upload(pool: Pool, iterated: bool) -> None:
    """A server may begin to answer before it has read all (a transcription, say)."""
    size = 3_000_000

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield bytes(size // 30)

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await asyncio.sleep(0.05)
        await peer.exactly(size)
        await peer.send(b"2\r\nok\r\n0\r\n\r\n")
        await peer.head()
        await peer.send(answer(b"again"))
        await peer.gone()

    async with RawServer(script) as server:
        response = await pool.send(_post(server, chunks() if iterated else bytes(size), size), LIMITS)
        assert await body_of(response) == b"ok"
        assert await body_of(await pool.send(get(server.origin()), LIMITS)) == b"again"
        assert server.accepted == 1


async def test_an_upload_ends_with_its_connection_though_the_answer_is_whole(pool: Pool) -> None:
    """Answered with success, then hung up: there is nobody left to send to."""
    asked = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal asked
        while asked < 1000:
            asked += 1
            yield b"x"
            await asyncio.sleep(0.001)

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer())
        peer.writer.close()

    async with RawServer(script) as server:
        response = await pool.send(_post(server, chunks(), 1000), LIMITS)
        assert await body_of(response) == b"ok"

    assert asked < 500


async def test_an_iterator_that_fails_fails_the_exchange(pool: Pool) -> None:
    class ClientGoneError(Exception):
        pass

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        raise ClientGoneError

    async def script(peer: Peer) -> None:
        await peer.head()
        assert await peer.gone() == b"x"

    async with RawServer(script) as server:
        with pytest.raises(ClientGoneError):
            await pool.send(_post(server, chunks(), 2), LIMITS)

    assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"


# -- cancellation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("when", ["head", "upload", "body"])
async def test_cancelling_is_seen_by_the_provider_at_once(pool: Pool, leaf: Leaf, when: str, secure: bool) -> None:
    """P6: whoever hangs up costs nothing more."""
    there, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        if when == "body":
            await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        there.set()
        await peer.gone()
        gone.set()

    async def run() -> None:
        size = BIG if when == "upload" else 0
        response = await pool.send(_post(server, bytes(size), size), LIMITS)
        await body_of(response)

    async with RawServer(script, leaf.context if secure else None) as server:
        task = asyncio.ensure_future(run())
        await asyncio.wait_for(there.wait(), 10)
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 10)

    assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"


# -- backpressure -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_a_slow_reader_pauses_the_socket(pool: Pool, leaf: Leaf, secure: bool) -> None:
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % BIG)
        for _ in range(BIG // 100_000):
            await peer.send(bytes(100_000))
            written += 100_000
        await peer.gone()

    async with RawServer(script, leaf.context if secure else None) as server:
        response = await pool.send(get(server.origin(_host(server))), LIMITS)
        await asyncio.sleep(0.3)
        stuck = written
        held = len(await response.read())
        total = held + len(await body_of(response))

    assert stuck < BIG  # the server could not go on
    assert held < 1_500_000  # and we did not hold what it wrote: the sockets' buffers did
    assert total == BIG


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_a_slow_server_pauses_the_upload(pool: Pool, leaf: Leaf, secure: bool) -> None:
    asked = 0
    go_on = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal asked
        for _ in range(BIG // 100_000):
            asked += 100_000
            yield bytes(100_000)

    async def script(peer: Peer) -> None:
        await peer.head()
        peer.writer.transport.pause_reading()
        await go_on.wait()
        peer.writer.transport.resume_reading()
        await peer.exactly(BIG)
        await peer.send(answer())
        await peer.gone()

    async with RawServer(script, leaf.context if secure else None) as server:
        task = asyncio.ensure_future(pool.send(_post(server, chunks(), BIG), LIMITS))
        await asyncio.sleep(0.3)
        stuck = asked
        go_on.set()
        assert await body_of(await task) == b"ok"

    assert stuck < BIG
    assert asked == BIG
