"""A question of our own: what is written, what comes back, and what is known when nothing does."""

from __future__ import annotations

import gzip

import pytest
from bytewise import Peer, RawServer, echo_ok, serve

from mitm_balancer.core.verdict import Sent
from mitm_balancer.testing import Leaf
from mitm_balancer.upstream.ask import ask
from mitm_balancer.upstream.base import UpstreamError
from mitm_balancer.upstream.fake import FakeUpstream, Reply
from mitm_balancer.upstream.pool import Pool


async def test_what_is_written_and_what_comes_back(pool: Pool, leaf: Leaf) -> None:
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        heads.append(await peer.head())
        assert await peer.exactly(2) == b"{}"
        await peer.send(b'HTTP/1.1 400 Bad\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\n{"a": 1}\n')

    async with RawServer(script, leaf.context) as server:
        url = f"https://localhost:{server.port}/v1/token?x=y%20z"
        told = await ask(pool, "POST", url, headers=[("Authorization", "token T")], body=b"{}")
    assert (told.status, told.header("retry-after"), told.json()) == (400, "7", {"a": 1})
    lines = heads[0].decode().split("\r\n")
    assert lines[0] == "POST /v1/token?x=y%20z HTTP/1.1"
    assert f"host: localhost:{server.port}" in lines
    assert "content-length: 2" in lines
    assert "Authorization: token T" in lines
    assert any(line.startswith("user-agent: mitm-balancer/") for line in lines)


async def test_a_coded_answer_is_read(pool: Pool) -> None:
    body = gzip.compress(b'{"a": 1}')
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with RawServer(serve(head + body)) as server:
        assert (await ask(pool, "GET", f"http://127.0.0.1:{server.port}/")).json() == {"a": 1}


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000], ids=["html", "deep"])
async def test_an_answer_that_is_no_json_is_none(pool: Pool, body: bytes) -> None:
    async with RawServer(serve(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))) as server:
        assert (await ask(pool, "GET", f"http://127.0.0.1:{server.port}/")).json() is None


async def test_a_fresh_one_has_a_connection_that_nothing_was_sent_on(pool: Pool) -> None:
    async with RawServer(echo_ok) as server:
        url = f"http://127.0.0.1:{server.port}/"
        for fresh, accepted in ((False, 1), (False, 1), (True, 2), (True, 3), (False, 3)):
            assert (await ask(pool, "GET", url, fresh=fresh)).body == b"ok"
            assert server.accepted == accepted


@pytest.mark.parametrize("url", ["http://token.example/x", "ftp://localhost/x", "https:///x", "https://h:99999/"])
async def test_only_verified_tls_or_this_machine(url: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        await ask(FakeUpstream(), "POST", url)
    assert caught.value.sent is Sent.NOTHING


async def test_nobody_there_is_told_as_unsent(pool: Pool) -> None:
    async with RawServer(serve(b"")) as server:
        port = server.port
    with pytest.raises(UpstreamError) as caught:
        await ask(pool, "POST", f"http://127.0.0.1:{port}/", body=b"{}")
    assert caught.value.sent is Sent.NOTHING


async def test_cut_after_the_request_is_told_as_sent(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.exactly(2)
        peer.reset()

    async with RawServer(script) as server:
        with pytest.raises(UpstreamError) as caught:
            await ask(pool, "POST", f"http://127.0.0.1:{server.port}/", body=b"{}")
    assert caught.value.sent is Sent.ALL


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200, body=[b"x" * 10, b"x" * 10]), id="too much"),
        pytest.param(Reply(200, body=[b"x", 3600.0]), id="no end"),
        pytest.param(Reply(200, after=3600.0), id="no head"),
    ],
)
async def test_it_is_bounded_and_leaves_nothing_open(reply: Reply) -> None:
    upstream = FakeUpstream(reply)
    with pytest.raises(UpstreamError) as caught:
        await ask(upstream, "GET", "https://x.example/", timeout=0.05, limit=15)
    assert caught.value.sent is Sent.ALL
    assert upstream.open == 0
