"""What comes back: every framing that HTTP/1 has, and what is no HTTP at all."""

from __future__ import annotations

import asyncio

import pytest
from bytewise import LIMITS, Peer, RawServer, answer, body_of, get, serve

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import UpstreamError, UpstreamResponse
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.upstream.response import MAX_HEAD

FRAMINGS = [
    # (what the server writes, body, whether the connection may be used again)
    pytest.param(b"content-length: 5\r\n\r\nhello", b"hello", True, id="length"),
    pytest.param(b"content-length: 0\r\n\r\n", b"", True, id="length-0"),
    pytest.param(
        b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\n\r\n", b"hello", True, id="chunked"
    ),
    pytest.param(b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", b"", True, id="chunked-empty"),
    pytest.param(b"content-length: 5\r\nconnection: close\r\n\r\nhello", b"hello", False, id="close-announced"),
    pytest.param(b"connection: Upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nok", b"ok", True, id="offers-h2c"),
]


@pytest.mark.parametrize("split", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize(("rest", "body", "again"), FRAMINGS)
async def test_framings(pool: Pool, rest: bytes, body: bytes, again: bool, split: bool) -> None:
    """The same answer in one packet and byte by byte; then a second request shows whether the connection was kept."""

    async def script(peer: Peer) -> None:
        for _ in range(2):
            await peer.head()
            data = b"HTTP/1.1 200 Fine\r\n" + rest
            for piece in [data[i : i + 1] for i in range(len(data))] if split else [data]:
                await peer.send(piece)
                await asyncio.sleep(0)
            if not again:
                return
        await peer.gone()

    async with RawServer(script) as server:
        for _ in range(2):
            response = await pool.send(get(server.origin()), LIMITS)
            assert (response.status, response.reason, response.http_version) == (200, b"Fine", b"HTTP/1.1")
            assert await body_of(response) == body
        assert server.accepted == (1 if again else 2)


async def test_a_body_may_end_with_the_connection(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.0 200 OK\r\nx: y\r\n\r\nall of ")
        await peer.send(b"it")

    async with RawServer(script) as server:
        response = await pool.send(get(server.origin()), LIMITS)

        assert response.http_version == b"HTTP/1.0"
        assert await body_of(response) == b"all of it"


@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n"),
    ],
)
async def test_answers_without_a_body(pool: Pool, method: bytes, head: bytes) -> None:
    async with RawServer(serve(head, answer())) as server:
        response = await pool.send(get(server.origin(), method=method), LIMITS)
        assert await body_of(response) == b""
        assert await body_of(await pool.send(get(server.origin()), LIMITS)) == b"ok"
        assert server.accepted == 1


async def test_interim_answers_are_skipped(pool: Pool) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <a>\r\nx: interim\r\n\r\n"

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(interim)
        await asyncio.sleep(0.01)
        await peer.send(interim + answer(b"ok", b"x: final", status=b"201 Made"))
        await peer.gone()

    async with RawServer(script) as server:
        response = await pool.send(get(server.origin()), LIMITS)

        assert (response.status, response.reason) == (201, b"Made")
        assert response.headers == ((b"content-length", b"2"), (b"x", b"final"))
        assert await body_of(response) == b"ok"


async def test_the_head_arrives_byte_for_byte(pool: Pool) -> None:
    fields = (b"Set-Cookie: a=1; Path=/", b"set-cookie: b=2", b"X-ODD-cAsInG: kept", b"x-empty:", b"x-latin: caf\xe9")

    async with RawServer(serve(answer(b"ok", *fields))) as server:
        response = await pool.send(get(server.origin()), LIMITS)
        await body_of(response)

    assert response.headers[1:] == (
        (b"Set-Cookie", b"a=1; Path=/"),
        (b"set-cookie", b"b=2"),
        (b"X-ODD-cAsInG", b"kept"),
        (b"x-empty", b""),
        (b"x-latin", b"caf\xe9"),
    )


async def test_trailers(pool: Pool) -> None:
    data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n"

    async with RawServer(serve(data)) as server:
        response = await pool.send(get(server.origin()), LIMITS)

        assert await body_of(response) == b"ok"
        assert response.trailers == ((b"x-sum", b"1"), (b"x-more", b"2"))
        assert response.headers == ((b"transfer-encoding", b"chunked"),)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_second_answer_cannot_touch_the_first(pool: Pool, method: bytes) -> None:
    """Two answers for one request, in one packet: the first counts, and the connection is not trusted any more."""
    first = answer(b"ok") if method == b"GET" else b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    second = answer(b"smuggled", b"x: y", status=b"500 Bad")

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(first + second if server.accepted == 1 else answer(b"right"))
        await peer.gone()

    async with RawServer(script) as server:
        response = await pool.send(get(server.origin(), method=method), LIMITS)
        await asyncio.sleep(0.02)
        seen = (response.status, response.reason, await body_of(response), response.trailers)

        assert seen == (200, b"OK", b"ok" if method == b"GET" else b"", ())
        assert await body_of(await pool.send(get(server.origin()), LIMITS)) == b"right"


async def test_a_late_second_answer_is_nobodys(pool: Pool) -> None:
    """It comes while the connection is idle: the next request gets a fresh one."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer(b"right"))
        if server.accepted == 1:
            await asyncio.sleep(0.01)
            await peer.send(answer(b"wrong"))
        await peer.gone()

    async with RawServer(script) as server:
        assert await body_of(await pool.send(get(server.origin()), LIMITS)) == b"right"
        await asyncio.sleep(0.05)
        assert await body_of(await pool.send(get(server.origin()), LIMITS)) == b"right"
        assert server.accepted == 2


@pytest.mark.parametrize(
    "garbage",
    [
        b"220 smtp.example ESMTP\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nname : x\r\n\r\n",
    ],
)
async def test_garbage_is_no_answer(pool: Pool, garbage: bytes) -> None:
    async with RawServer(serve(garbage)) as server:
        with pytest.raises(UpstreamError) as failed:
            await pool.send(get(server.origin()), LIMITS)

    assert (failed.value.stage, failed.value.sent, failed.value.timeout) == ("head", Sent.ALL, False)


async def test_garbage_in_the_body_breaks_it(pool: Pool) -> None:
    data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n"

    async with RawServer(serve(data)) as server:
        response = await pool.send(get(server.origin()), LIMITS)
        with pytest.raises(UpstreamError) as failed:
            await body_of(response)

    assert failed.value.stage == "body"


@pytest.mark.parametrize("line", [b"x: %s\r\n" % (b"a" * 1000), b"a" * 1000])
async def test_a_head_without_end_is_refused(pool: Pool, line: bytes) -> None:
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.head()
        try:
            await peer.send(b"HTTP/1.1 200 OK\r\nx: ")
            while True:
                await peer.send(line)
                written += len(line)
                await asyncio.sleep(0)
        except ConnectionError:
            pass

    async with RawServer(script) as server:
        with pytest.raises(UpstreamError, match="over") as failed:
            await pool.send(get(server.origin()), LIMITS)
        await asyncio.sleep(0.05)

    assert failed.value.stage == "head"
    assert written < MAX_HEAD + 8_000_000  # what the sockets' buffers hold


async def test_an_upgrade_carries_bytes_both_ways(pool: Pool) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(switch + b"at once")
        assert await peer.exactly(5) == b"hello"
        await peer.send(b"HTTP/1.1 200 this is no head any more\r\n\r\n")

    async with RawServer(script) as server:
        request = get(server.origin(), headers=((b"connection", b"Upgrade"), (b"upgrade", b"websocket")))
        response: UpstreamResponse = await pool.send(request, LIMITS)
        assert response.status == 101
        assert await response.read() == b"at once"
        response.write(b"hello")  # type: ignore[attr-defined]
        assert await body_of(response) == b"HTTP/1.1 200 this is no head any more\r\n\r\n"
        assert repr(pool) == "<Pool 1 origins, 0 busy, 0 idle>"
