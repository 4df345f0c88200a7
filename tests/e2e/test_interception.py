"""Who may use the proxy, what it decrypts, and by which way it goes out."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from typing import Any

import pytest

from e2e.conftest import Launch
from e2e.connectproxy import connect_proxy
from e2e.hands import cli, known
from e2e.harness import How, Proxy, account, config
from e2e.helpers import ANTHROPIC, accounts_of, told
from e2e.rawclient import ProxyRefusedError, RawClient
from mitm_balancer.testing import FakeProvider


def _corp(fake: FakeProvider) -> dict[str, Any]:
    """A provider that claims the fake's own address."""
    return {"hosts": [f"127.0.0.1:{fake.port}"], "dialect": "anthropic-messages", "auth": "x-api-key", "paths": ["/*"]}


def _certificate(client: RawClient) -> bytes:
    found = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert isinstance(found, bytes)
    return found


async def _ask_blind(proxy: Proxy, fake: FakeProvider) -> bytes:
    """A request that trusts the fake's own CA alone; returns the certificate that the client saw."""
    assert fake.ca is not None
    context = fake.ca.client_context()
    async with await proxy.dial("127.0.0.1", fake.port, context=context) as client:
        answer = await client.request("POST", "/v1/messages", [("x-api-key", "KEY-A")], b"{}")
        assert answer.status == 200 and not answer.all("x-balancer")
        return _certificate(client)


async def test_a_host_that_nobody_claims_is_never_decrypted(fake: FakeProvider, launch: Launch, how: How) -> None:
    """The client sees the real server's certificate and speaks to it; our CA is not in it (P12)."""
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1)), how=how)
    assert fake.ca is not None
    async with await RawClient.open("127.0.0.1", fake.port, context=fake.ca.client_context()) as straight:
        expected = _certificate(straight)
    assert await _ask_blind(proxy, fake) == expected
    with pytest.raises(ssl.SSLCertVerificationError):
        await proxy.dial("127.0.0.1", fake.port)  # trusts our CA alone


@pytest.mark.parametrize("accounts", ["none", "disabled"])
async def test_a_claimed_host_without_an_account_is_never_decrypted(
    fake: FakeProvider, launch: Launch, accounts: str
) -> None:
    """A provider claims it, but nobody could serve it: blind as well."""
    chosen = [account("corp", "a", "KEY-B", enabled=False)] if accounts == "disabled" else []
    proxy = await launch(config(*chosen, providers={"corp": _corp(fake)}))
    await _ask_blind(proxy, fake)
    assert fake.ledger[0].label == "a"


async def test_a_claimed_host_is_terminated_and_reached_once(fake: FakeProvider, launch: Launch, how: How) -> None:
    """Our CA's certificate; and the provider sees one connection for it all: none of mitmproxy's own."""
    proxy = await launch(config(account("corp", "a", "KEY-A"), providers={"corp": _corp(fake)}), how=how)
    async with await proxy.dial("127.0.0.1", fake.port) as client:
        await fake.until(lambda: fake.open_connections)  # warmed up at CONNECT
        answer = await client.request("POST", "/v1/messages", [("x-api-key", "CLIENT-OWN")], b"{}")
        assert (answer.status, told(answer)) == (200, ("a", 1))
    assert fake.ledger.connections == 1


async def test_plain_http_passes(launch: Launch, how: How, fake: FakeProvider) -> None:
    """An absolute-form request to a plain server goes as it came, and gets no account's credential."""
    async with FakeProvider({"OWN": "own"}, ca=None) as plain:
        proxy = await launch(config(*accounts_of(fake, "anthropic", 1)), how=how)
        async with await RawClient.open("127.0.0.1", proxy.port) as client:
            target = f"{plain.url}/v1/messages"
            answer = await client.request("POST", target, [("x-api-key", "OWN"), ("X-Odd", "1")], b"{}")
        assert answer.status == 200 and not answer.all("x-balancer")
        assert plain.ledger[0].label == "own" and (b"X-Odd", b"1") in plain.ledger[0].headers


def _own_address() -> str | None:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if found.startswith("127.") else found


OPEN_TO_ALL = ["--listen-host", "0.0.0.0"]
AUTH = ["--set", "proxyauth=user:word"]
ALLOWED = ["--set", "balancer_allow_remote=true"]


@pytest.mark.parametrize(("more", "served"), [([], False), (AUTH, False), (ALLOWED, False), (ALLOWED + AUTH, True)])
async def test_other_machines_are_refused(fake: FakeProvider, launch: Launch, more: list[str], served: bool) -> None:
    """Other peers are served only with `balancer_allow_remote` and `proxyauth` both, and the right password."""
    address = _own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1)), args=[*OPEN_TO_ALL, *more])
    word = [("Proxy-Authorization", "Basic " + base64.b64encode(b"user:word").decode())]

    async def ask() -> tuple[str, int]:
        way = (address, proxy.port)
        client = await RawClient.open(
            ANTHROPIC.host, 443, proxy=way, context=proxy.context(), connect_headers=word if AUTH[1] in more else []
        )
        async with client:
            return told(await client.request(*ANTHROPIC.request(stream=True)))

    if served:
        assert await ask() == ("anthropic0", 1)
        word.clear()
        with pytest.raises(ProxyRefusedError, match="407"):
            await ask()
    else:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError, ProxyRefusedError)):
            await ask()
        await proxy.says("refused a client from")
        assert not len(fake.ledger)


@pytest.mark.parametrize("first", [b"PO", b"POST /v1/m", b"\x00\x01\x02\x03"], ids=["word", "line", "binary"])
async def test_what_was_decrypted_never_goes_out_in_clear_text(
    fake: FakeProvider, launch: Launch, how: How, first: bytes
) -> None:
    """A first record without a line end, of a client without ALPN, is raw TCP for mitmproxy."""
    proxy = await launch(config(account("corp", "a", "KEY-A"), providers={"corp": _corp(fake)}), how=how)
    body = b'{"model": "m"}'
    rest = b"ST /v1/messages" if first == b"PO" else b"essages"
    head = f" HTTP/1.1\r\nHost: 127.0.0.1:{fake.port}\r\nx-api-key: CLIENT-OWN\r\ncontent-length: {len(body)}\r\n\r\n"
    async with await proxy.dial("127.0.0.1", fake.port) as client:
        client.writer.write(first)
        await client.writer.drain()
        await asyncio.sleep(0.2)
        client.writer.write(rest + head.encode() + body)
        answer = await client.read_answer("POST")

    assert fake.ledger.connections <= 1, "none but that of the pool: the one in clear text would be a second"
    if first.isascii() and first[0] > 0x20:
        assert told(answer)[0] == "a"
        assert [record.body for record in fake.ledger] == [body]
    else:
        assert answer.status == 400 and not len(fake.ledger)


async def test_without_verification_no_account_is_sent(fake: FakeProvider, launch: Launch) -> None:
    """`ssl_insecure`: whoever answers may be anybody, so no account's credential goes out, and the log says so."""
    proxy = await launch(
        config(account("corp", "a", "KEY-A"), providers={"corp": _corp(fake)}), args=["--set", "ssl_insecure=true"]
    )
    async with await proxy.dial("127.0.0.1", fake.port) as client:
        answer = await client.request("POST", "/v1/messages", [("x-api-key", "CLIENT-OWN")], b"{}")
    assert not fake.ledger.of("a")
    assert "KEY-A" not in str([record.headers for record in fake.ledger])
    assert answer.status >= 400
    assert "ssl_insecure" in proxy.output
    said = await cli(await known(proxy), "status", "--json")
    assert "ssl_insecure is set: no account's credential will be sent" in said.json()["problems"]


@pytest.mark.parametrize("way", ["mode", "environment"])
async def test_the_operators_proxy_is_used(fake: FakeProvider, launch: Launch, how: How, way: str) -> None:
    """`--mode upstream:` and HTTPS_PROXY: attempts go through it, with its password, by CONNECT alone."""
    async with connect_proxy() as operator:
        url = operator.url.replace("http://", "http://user:word@")
        options: dict[str, Any] = {"env": {"HTTPS_PROXY": url}}
        if way == "mode":
            mode = ["--set", f"mode=upstream:{operator.url}", "--set", "upstream_auth=user:word"]
            options = {"args": mode}
        proxy = await launch(config(*accounts_of(fake, "anthropic", 1)), how=how, **options)
        async with await proxy.dial(ANTHROPIC.host) as client:
            for _ in range(2):
                assert told(await client.request(*ANTHROPIC.request(stream=True))) == ("anthropic0", 1)
        assert operator.heads and all(head.startswith(f"CONNECT 127.0.0.1:{fake.port} ") for head in operator.heads)
        assert base64.b64encode(b"user:word").decode() in operator.heads[0]
        assert "KEY-" not in "".join(operator.heads)


async def test_what_is_tunnelled_blind_goes_through_the_operators_proxy_too(
    fake: FakeProvider, launch: Launch, how: How
) -> None:
    """Behind a company's proxy, nothing of an agent's traffic gets out otherwise."""
    async with connect_proxy() as operator:
        url = operator.url.replace("http://", "http://user:word@")
        proxy = await launch(config(*accounts_of(fake, "anthropic", 1)), how=how, env={"HTTPS_PROXY": url})
        assert fake.ca is not None
        async with await RawClient.open("127.0.0.1", fake.port, context=fake.ca.client_context()) as straight:
            expected = _certificate(straight)
        assert await _ask_blind(proxy, fake) == expected
        assert [head.split("\r\n")[0] for head in operator.heads] == [f"CONNECT 127.0.0.1:{fake.port} HTTP/1.1"]
        assert base64.b64encode(b"user:word").decode() in operator.heads[0]
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(f"CONNECT 127.0.0.1:{fake.port} HTTP/1.1\r\n\r\n".encode())
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"GET / HTTP/1.1\r\nHost: plain\r\n\r\n")  # not TLS: blind as well
            await reader.read()
            writer.close()
        assert len(operator.heads) == 2


async def test_a_proxy_variable_that_points_at_us_makes_no_loop(fake: FakeProvider, launch: Launch, how: How) -> None:
    """HTTPS_PROXY in our own environment is our own address, as after `export` in the same shell."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    env = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "https_proxy": f"http://localhost:{port}"}
    proxy = await launch(
        config(account("corp", "a", "KEY-A"), providers={"corp": _corp(fake)}), how=how, args=["-p", str(port)], env=env
    )
    assert proxy.port == port
    async with asyncio.timeout(20), await proxy.dial("127.0.0.1", fake.port) as client:
        answer = await client.request(*ANTHROPIC.request(stream=True))
    assert (answer.status, told(answer)) == (200, ("a", 1))
