"""Opening a connection: what can go wrong before anything is sent, and the operator's proxy."""

from __future__ import annotations

import asyncio
import base64
import socket

import pytest
from bytewise import LIMITS, Peer, RawServer, body_of, echo_ok, get

from mitm_balancer.core.verdict import Sent
from mitm_balancer.testing import CA, Leaf, make_ca
from mitm_balancer.upstream.base import Origin, Timeouts, UpstreamError
from mitm_balancer.upstream.dial import MAX_PROXY_HEAD, Via, environment_has_proxy, parse_proxy, proxy_from_environment
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.upstream.tls import TlsSettings


async def _fails(pool: Pool, origin: Origin, limits: Timeouts = LIMITS) -> UpstreamError:
    """The error; that nothing was sent and no place is lost is checked here, for it holds for all of them."""
    with pytest.raises(UpstreamError) as failed:
        await pool.send(get(origin), limits)
    assert failed.value.sent is Sent.NOTHING
    assert "0 busy, 0 idle" in repr(pool)
    return failed.value


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_refused(pool: Pool) -> None:
    error = await _fails(pool, Origin("http", "127.0.0.1", _free_port()))

    assert (error.stage, error.timeout) == ("connect", False)
    assert "refused" in str(error).lower()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid", "bad..name"])
async def test_no_such_host(pool: Pool, host: str) -> None:
    error = await _fails(pool, Origin("https", host, 443))

    assert (error.stage, error.timeout) == ("connect", False)


async def test_nobody_accepts(pool: Pool) -> None:
    """A full backlog: the kernel drops the SYN, as a firewall would."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())

        error = await _fails(pool, Origin("http", "127.0.0.1", listener.getsockname()[1]), Timeouts(connect=0.1))

        for filler in fillers:
            filler.close()
    assert (error.stage, error.timeout) == ("connect", True)
    assert "0.1 s" in str(error)


async def test_a_good_certificate(pool: Pool, leaf: Leaf) -> None:
    async with RawServer(echo_ok, leaf.context) as server:
        response = await pool.send(get(server.origin("localhost")), LIMITS)
        assert await body_of(response) == b"ok"
        info = response.info

        assert info.tls_version == "TLSv1.3"
        assert info.cipher
        assert len(info.certificate_der) == 1
        assert info.peername in (("127.0.0.1", server.port), ("::1", server.port))
        assert info.started <= (info.connected or 0) <= (info.tls_done or 0)


@pytest.mark.parametrize("case", ["unknown issuer", "other name", "other address"])
async def test_a_bad_certificate(pool: Pool, ca: CA, case: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    heads = 0

    async def script(peer: Peer) -> None:
        nonlocal heads
        if await peer.gone():
            heads += 1

    issuer = make_ca(tmp_path_factory.mktemp("other")) if case == "unknown issuer" else ca
    names = {"unknown issuer": ["localhost"], "other name": ["api.example"], "other address": ["127.0.0.2"]}[case]
    host = "127.0.0.1" if case == "other address" else "localhost"
    async with RawServer(script, issuer.issue(names).context) as server:
        error = await _fails(pool, server.origin(host))

    assert (error.stage, error.timeout, heads) == ("tls", False, 0)
    assert {"unknown issuer": "self-signed", "other name": "ostname mismatch", "other address": "IP address mismatch"}[
        case
    ] in str(error)


async def test_insecure_accepts_any_certificate(leaf: Leaf, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = make_ca(tmp_path_factory.mktemp("other")).issue(["api.example"])
    async with RawServer(echo_ok, other.context) as server:
        pool = Pool(TlsSettings(insecure=True))
        assert await body_of(await pool.send(get(server.origin("localhost")), LIMITS)) == b"ok"
        await pool.aclose()


async def test_the_public_bundle_is_the_default(leaf: Leaf) -> None:
    async with RawServer(echo_ok, leaf.context) as server:
        pool = Pool()
        assert (await _fails(pool, server.origin("localhost"))).stage == "tls"
        await pool.aclose()


async def test_no_tls_spoken(pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async with RawServer(script) as server:
        error = await _fails(pool, Origin("https", "localhost", server.port))

    assert (error.stage, error.timeout) == ("tls", False)


@pytest.mark.parametrize("how", ["fin", "rst", "silence"])
async def test_the_handshake_breaks_off(pool: Pool, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)
        if how == "rst":
            peer.reset()
        elif how == "silence":
            await peer.gone()

    async with RawServer(script) as server:
        error = await _fails(pool, Origin("https", "localhost", server.port), Timeouts(connect=0.2))

    assert (error.stage, error.timeout) == ("tls", how == "silence")


async def test_an_unusable_trust_file_is_told() -> None:
    pool = Pool(TlsSettings(trusted_ca="/nonexistent/ca.pem"))

    error = await _fails(pool, Origin("https", "localhost", 1))

    assert error.stage == "tls"
    await pool.aclose()


@pytest.mark.parametrize("stage", ["tls", "proxy"])
async def test_cancelling_while_connecting_is_seen_at_once(pool: Pool, stage: str) -> None:
    there, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.reader.read(10)
        there.set()
        await peer.gone()
        gone.set()

    async with RawServer(script) as server:
        if stage == "proxy":
            pool.configure(pool.tls, lambda _: Via("http", "127.0.0.1", server.port))
        task = asyncio.ensure_future(pool.send(get(Origin("https", "localhost", server.port)), LIMITS))
        await asyncio.wait_for(there.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 10)

    assert "0 busy, 0 idle" in repr(pool)


async def test_failed_handshakes_leave_the_loop_whole(pool: Pool, leaf: Leaf) -> None:
    """Sockets closed under their transports would break connections that get the same number afterwards."""

    async def script(peer: Peer) -> None:
        await peer.reader.read(10)

    async with RawServer(script) as broken, RawServer(echo_ok, leaf.context) as good:
        for _ in range(10):
            sends = [pool.send(get(Origin("https", "localhost", broken.port)), LIMITS) for _ in range(5)]
            sends += [pool.send(get(good.origin("localhost")), LIMITS) for _ in range(5)]
            results = await asyncio.gather(*sends, return_exceptions=True)
            assert [isinstance(r, UpstreamError) for r in results] == [True] * 5 + [False] * 5
            for result in results[5:]:
                assert await body_of(result) == b"ok"  # type: ignore[arg-type]


# -- the operator's proxy ---------------------------------------------------------------------------------------


class _Proxy:
    """An HTTP proxy that knows CONNECT; `heads` are what it was asked."""

    def __init__(self, verdict: bytes = b"HTTP/1.1 200 Connection established\r\nvia: 1.1 us\r\n\r\n") -> None:
        self.verdict = verdict
        self.heads: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        head = await peer.head()
        self.heads.append(head)
        await peer.send(self.verdict)
        if not self.verdict.startswith(b"HTTP/1.1 200"):
            await peer.gone()
            return
        host, port = head.split(b" ")[1].decode().rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        await asyncio.gather(_pump(peer.reader, writer), _pump(reader, peer.writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


@pytest.mark.parametrize("auth", [None, "user:p w"])
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("proxy_secure", [False, True], ids=["http-proxy", "https-proxy"])
async def test_through_a_proxy(pool: Pool, leaf: Leaf, auth: str | None, secure: bool, proxy_secure: bool) -> None:
    proxy = _Proxy()
    context = leaf.context if proxy_secure else None
    async with RawServer(echo_ok, leaf.context if secure else None) as server, RawServer(proxy, context) as middle:
        via = Via("https" if proxy_secure else "http", "localhost", middle.port, auth)
        pool.configure(pool.tls, lambda _: via)
        for _ in range(2):
            response = await pool.send(get(server.origin("127.0.0.1")), LIMITS)
            assert await body_of(response) == b"ok"
        assert (response.info.tls_version is not None) is secure

    target = f"127.0.0.1:{server.port}"
    expected = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if auth:
        expected += f"Proxy-Authorization: Basic {base64.b64encode(auth.encode()).decode()}\r\n"
    assert proxy.heads == [f"{expected}\r\n".encode()]


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "502"),
        (b"SSH-2.0 x 200\r\n\r\n", "refused"),
        (b"", "no answer"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * (MAX_PROXY_HEAD + 1000) + b"\r\n\r\n", "no answer"),
    ],
)
async def test_a_proxy_that_refuses(pool: Pool, verdict: bytes, text: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(verdict)
        if verdict:
            await peer.gone()

    async with RawServer(script) as middle:
        pool.configure(pool.tls, lambda _: Via("http", "127.0.0.1", middle.port, "user:secret"))
        error = await _fails(pool, Origin("https", "api.example", 443))

    assert error.stage == "proxy"
    assert text in str(error)
    assert "secret" not in str(error)


async def test_the_certificate_is_checked_behind_a_proxy_too(pool: Pool, ca: CA) -> None:
    proxy = _Proxy()
    async with RawServer(echo_ok, ca.issue(["api.example"]).context) as server, RawServer(proxy) as middle:
        pool.configure(pool.tls, lambda _: Via("http", "127.0.0.1", middle.port))
        error = await _fails(pool, server.origin("localhost"))

    assert error.stage == "tls"


async def test_a_proxy_that_is_away(pool: Pool) -> None:
    pool.configure(pool.tls, lambda _: Via("http", "127.0.0.1", _free_port()))

    assert (await _fails(pool, Origin("https", "api.example", 443))).stage == "connect"


def test_proxy_urls() -> None:
    assert parse_proxy("http://proxy.example:3128") == Via("http", "proxy.example", 3128)
    assert parse_proxy("proxy.example:3128") == Via("http", "proxy.example", 3128)
    assert parse_proxy("http://proxy.example") == Via("http", "proxy.example", 80)
    assert parse_proxy("https://[::1]") == Via("https", "::1", 443)
    assert parse_proxy("http://us%20er:p%40ss@proxy.example:1") == Via("http", "proxy.example", 1, "us er:p@ss")
    assert parse_proxy("socks5://proxy.example:1080") is None
    assert "p@ss" not in repr(parse_proxy("http://u:p%40ss@h:1"))


@pytest.mark.parametrize(
    ("environment", "host", "expected"),
    [
        ({}, "api.example", None),
        ({"HTTPS_PROXY": "http://p:1"}, "api.example", Via("http", "p", 1)),
        ({"https_proxy": "http://p:1"}, "api.example", Via("http", "p", 1)),
        ({"ALL_PROXY": "http://p:1"}, "api.example", Via("http", "p", 1)),
        ({"HTTP_PROXY": "http://p:1"}, "api.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.example"}, "api.example", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": ".example,localhost"}, "api.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "api.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other.example"}, "api.example", Via("http", "p", 1)),
    ],
)
def test_the_operators_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], host: str, expected: Via | None
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_from_environment(Origin("https", host, 443)) == expected
    assert environment_has_proxy() is any(name.lower() != "no_proxy" for name in environment)
