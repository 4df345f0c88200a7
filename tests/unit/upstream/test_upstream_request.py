"""What leaves: the head and the body exactly as given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from bytewise import LIMITS, Peer, RawServer, answer, body_of, get

from mitm_balancer.core.verdict import Sent
from mitm_balancer.testing import Leaf
from mitm_balancer.upstream.base import Origin, RawHeaders, UpstreamError, WireRequest
from mitm_balancer.upstream.pool import Pool


async def _received(pool: Pool, request_body: bytes | AsyncIterator[bytes], headers: RawHeaders, size: int) -> bytes:
    """What a server sees of such a request: the head and `size` bytes."""
    seen = bytearray()

    async def script(peer: Peer) -> None:
        seen.extend(await peer.head())
        seen.extend(await peer.exactly(size))
        await peer.send(answer())
        seen.extend(await peer.gone())

    async with RawServer(script) as server:
        request = WireRequest(server.origin(), b"POST", b"/v1/x?beta=true&q=%20", headers, request_body)
        response = await pool.send(request, LIMITS)
        assert await body_of(response) == b"ok"
    return bytes(seen)


async def _iterate(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)


async def test_the_head_leaves_byte_for_byte(pool: Pool) -> None:
    """Order, casing, duplicates, odd values: nothing is added, merged or changed."""
    headers = (
        (b"Host", b"api.example"),
        (b"X-Stainless-Lang", b"js"),
        (b"x-dup", b"1"),
        (b"ACCEPT", b"*/*"),
        (b"x-dup", b"2"),
        (b"x-empty", b""),
        (b"x-latin", b"caf\xe9"),
        (b"content-length", b"4"),
    )

    seen = await _received(pool, b"body", headers, 4)

    assert seen == (
        b"POST /v1/x?beta=true&q=%20 HTTP/1.1\r\nHost: api.example\r\nX-Stainless-Lang: js\r\nx-dup: 1\r\n"
        b"ACCEPT: */*\r\nx-dup: 2\r\nx-empty: \r\nx-latin: caf\xe9\r\ncontent-length: 4\r\n\r\nbody"
    )


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 5_000_000])
async def test_a_body_leaves_whole_whatever_its_size(pool: Pool, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]

    seen = await _received(pool, body, ((b"content-length", b"%d" % size),), size)

    assert seen.split(b"\r\n\r\n", 1)[1] == body


async def test_a_chunked_body_is_framed(pool: Pool) -> None:
    framed = b"5\r\nhello\r\n0\r\n\r\n"
    headers = ((b"Transfer-Encoding", b"chunked"),)

    assert (await _received(pool, b"hello", headers, len(framed))).endswith(b"\r\n\r\n" + framed)
    assert (await _received(pool, b"", headers, 5)).endswith(b"\r\n\r\n0\r\n\r\n")


async def test_an_iterated_body_leaves_chunk_by_chunk(pool: Pool) -> None:
    framed = b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"

    # An empty chunk would end a chunked body: it must not be written.
    chunked = await _received(pool, _iterate(b"one", b"", b"two"), ((b"transfer-encoding", b"chunked"),), len(framed))
    plain = await _received(pool, _iterate(b"one", b"two"), ((b"content-length", b"6"),), 6)

    assert chunked.endswith(b"\r\n\r\n" + framed)
    assert plain.endswith(b"\r\n\r\nonetwo")


async def test_a_body_leaves_whole_over_tls(pool: Pool, leaf: Leaf) -> None:
    body = bytes(range(256)) * 8000

    async def script(peer: Peer) -> None:
        await peer.head()
        assert await peer.exactly(len(body)) == body
        await peer.send(answer())
        await peer.gone()

    async with RawServer(script, leaf.context) as server:
        headers = ((b"content-length", b"%d" % len(body)),)
        response = await pool.send(WireRequest(server.origin("localhost"), b"POST", b"/", headers, body), LIMITS)
        assert await body_of(response) == b"ok"


@pytest.mark.parametrize(
    "request_of",
    [
        lambda o: get(o, headers=((b"x", b"a\r\nx-evil: 1"),)),
        lambda o: get(o, headers=((b"x", b"key\n"),)),
        lambda o: get(o, headers=((b"x\r", b"a"),)),
        lambda o: get(o, headers=((b"x", b"a\0b"),)),
        lambda o: WireRequest(o, b"GET", b"/ HTTP/1.1\r\nx: y\r\n\r\n", ()),
        lambda o: get(o, method=b"GET\n"),
    ],
)
async def test_a_line_break_in_a_field_is_refused_and_nothing_leaves(pool: Pool, request_of) -> None:  # type: ignore[no-untyped-def]
    """A credential with its newline, or worse. The connection is not to blame and serves the next request."""
    heads = []

    async def script(peer: Peer) -> None:
        heads.append(await peer.head())
        await peer.send(answer())
        await peer.gone()

    async with RawServer(script) as server:
        origin: Origin = server.origin()
        with pytest.raises(UpstreamError) as refused:
            await pool.send(request_of(origin), LIMITS)
        assert (refused.value.stage, refused.value.sent) == ("write", Sent.NOTHING)
        assert "evil" not in str(refused.value) and "key" not in str(refused.value)
        assert await body_of(await pool.send(get(origin), LIMITS)) == b"ok"

    assert heads == [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"]


async def test_secrets_do_not_show_in_reprs() -> None:
    request = get(Origin("https", "h", 1), headers=((b"authorization", b"Bearer canary"),))

    assert "canary" not in repr(request)
