"""Memory stays bounded whoever is slow: the client with its answer, the provider with an upload."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.conftest import Launch
from e2e.h2client import H2Client
from e2e.harness import How, Proxy, account, config
from e2e.helpers import ANTHROPIC, AnyAnswer, Client, accounts_of, dial, told
from e2e.rawclient import Pairs
from e2e.rawserver import digest_of, read_head, serving
from mitm_balancer.testing import CA, FakeProvider, steps

MB = 1024 * 1024
SIZE = 200 * MB
MEMORY = 24 * MB
"""What a stuck transfer may cost the proxy: buffers of both sockets, TLS, and the allocator's slack."""
IN_FLIGHT = 24 * MB
"""What may have left the sender: the kernel's loopback buffers come on top of the proxy's."""
UPLOAD = 40 * MB

EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    b'{"type":"text_delta","text":"' + b"x" * 65000 + b'"}}\n\n'
)
START = b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}}\n\n'


def rss(proxy: Proxy) -> int:
    """Resident bytes of the proxy's process."""
    lines = Path(f"/proc/{proxy.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


async def settled(value: Callable[[], int], quiet: float = 0.6) -> int:
    """The value, once it has not changed for so many seconds."""
    last, since = value(), time.monotonic()
    while time.monotonic() - since < quiet:
        await asyncio.sleep(0.05)
        if (now := value()) != last:
            last, since = now, time.monotonic()
    return last


def _stop_taking(client: H2Client) -> Callable[[], None]:
    """Acknowledge nothing, so that the stream's window stays shut; returns what opens it again."""
    connection = client._h2
    taken = connection.acknowledge_received_data
    owed: list[tuple[int, int]] = []
    connection.acknowledge_received_data = lambda size, stream: owed.append((size, stream))  # type: ignore[method-assign, assignment]

    def resume() -> None:
        connection.acknowledge_received_data = taken  # type: ignore[method-assign]
        for size, stream in owed:
            taken(size, stream)

    return resume


@pytest.mark.parametrize(
    ("how", "protocol", "kind"),
    [
        ("mitmdump", "h1", "events"),
        ("mitmdump", "h2", "events"),
        ("balancer", "h1", "bytes"),
        ("balancer", "h2", "events"),
    ],
)
async def test_a_slow_client_slows_the_provider(
    fake: FakeProvider, launch: Launch, how: How, protocol: str, kind: str
) -> None:
    """The provider has 200 MB, the client takes nothing: the proxy holds a few MB; then it goes on where it stood."""
    headers, body = [("content-type", "application/octet-stream")], bytes(SIZE)
    if kind == "events":
        headers, body = [("content-type", "text/event-stream")], START + EVENT * (SIZE // len(EVENT))
    fake.play("anthropic0", steps.ok(body=body, headers=tuple(headers), split=65536))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1)), how=how)
    await (_slow_h1 if protocol == "h1" else _slow_h2)(fake, proxy, rss(proxy))
    await fake.until(lambda: fake.ledger[0].client_gone)


async def _slow_h1(fake: FakeProvider, proxy: Proxy, before: int) -> None:
    client = await proxy.dial(ANTHROPIC.host)
    await client.start(*ANTHROPIC.request(stream=True))
    await client.read_head()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    stuck = await _stuck(fake, proxy, before)
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    while fake.ledger[0].bytes_sent < 2 * stuck:
        assert await client.reader.read(65536)
    client.abort()


async def _slow_h2(fake: FakeProvider, proxy: Proxy, before: int) -> None:
    client = await proxy.dial_h2(ANTHROPIC.host)
    resume = _stop_taking(client)
    await client.start(*ANTHROPIC.request(stream=True))
    stuck = await _stuck(fake, proxy, before)
    resume()
    await client._flush()
    await fake.until(lambda: fake.ledger[0].bytes_sent > 2 * stuck)
    client.abort()


async def _stuck(fake: FakeProvider, proxy: Proxy, before: int) -> int:
    """What left the provider until it stood still; asserts that it is little, in the proxy too."""
    await fake.until(lambda: fake.ledger and fake.ledger[0].bytes_sent)
    stuck = await settled(lambda: fake.ledger[0].bytes_sent)
    assert stuck < IN_FLIGHT, f"{stuck / MB:.1f} MB left the provider for a client that takes nothing"
    grown = rss(proxy) - before
    assert grown < MEMORY, f"the proxy grew by {grown / MB:.1f} MB"
    return stuck


@pytest.mark.parametrize("protocol", ["h1", "h2"])
async def test_a_large_upload_streams_through_in_one_attempt(fake: FakeProvider, launch: Launch, protocol: str) -> None:
    """40 MB beyond `replay_limit` arrive byte for byte; a refusal after it is passed on: there is nothing to resend."""
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2), policy={"replay_limit": 1_000_000}))
    body = random.Random(1).randbytes(UPLOAD)
    method, path, headers, _ = ANTHROPIC.request(stream=False)
    fake.play("anthropic0", steps.ok(), steps.rate_limited(retry_after=600))
    async with await dial(proxy, protocol, ANTHROPIC.host) as client:
        answer = await client.request(method, path, headers, body)
        assert (answer.status, told(answer)) == (200, ("anthropic0", 1))
        assert fake.ledger[0].body == body
        answer = await client.request(method, path, headers, body[: 2 * MB])
        assert (answer.status, told(answer)) == (429, ("anthropic0", 1))
        answer = await client.request(method, path, headers, body[:100])
        assert (answer.status, told(answer)) == (200, ("anthropic1", 1))
    assert [len(record.body) for record in fake.ledger] == [UPLOAD, 2 * MB, 100]


async def _ask(client: Client, method: str, path: str, headers: Pairs, body: bytes) -> AnyAnswer:
    return await client.request(method, path, headers, body)


@pytest.mark.parametrize("protocol", ["h1", "h2"])
async def test_a_slow_provider_slows_the_upload(fake_ca: CA, launch: Launch, protocol: str) -> None:
    """The provider reads nothing for a while: the proxy does not swallow the 40 MB; then they arrive whole."""
    go_on, seen = asyncio.Event(), []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, length = await read_head(reader)
        await go_on.wait()
        seen.append((await digest_of(reader, length)).hexdigest())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()

    body = random.Random(2).randbytes(UPLOAD)
    method, path, headers, _ = ANTHROPIC.request(stream=False)
    headers = [*headers, ("content-length", str(UPLOAD))]
    async with serving(fake_ca, slow) as url:
        text = config(account("anthropic", "a", "KEY-A", base_url=url), policy={"replay_limit": 1_000_000})
        proxy = await launch(text)
        before = rss(proxy)
        async with await dial(proxy, protocol, ANTHROPIC.host) as client:
            asked = asyncio.ensure_future(_ask(client, method, path, headers, body))
            await asyncio.sleep(0.5)
            grown = await settled(lambda: rss(proxy)) - before
            go_on.set()
            answer = await asked
    assert grown < MEMORY, f"the proxy grew by {grown / MB:.1f} MB"
    assert (answer.status, answer.body) == (200, b"{}")
    assert seen == [hashlib.sha256(body).hexdigest()]


@pytest.mark.parametrize("protocol", ["h1", "h2"])
async def test_a_provider_that_refuses_early_is_heard(fake_ca: CA, launch: Launch, protocol: str) -> None:
    """413 after the head of a 40 MB upload: the client gets it, while it is still sending."""
    refusal = b'{"type":"error","error":{"type":"request_too_large","message":"too large"}}'

    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        head = f"HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: {len(refusal)}\r\n\r\n"
        writer.write(head.encode() + refusal)
        await writer.drain()
        while await reader.read(65536):
            pass

    body = bytes(UPLOAD)
    method, path, headers, _ = ANTHROPIC.request(stream=False)
    async with serving(fake_ca, hasty) as url:
        text = config(account("anthropic", "a", "KEY-A", base_url=url), policy={"replay_limit": 1_000_000})
        proxy = await launch(text)
        async with (
            asyncio.timeout(10),
            await dial(proxy, protocol, ANTHROPIC.host) as client,
        ):
            answer = await client.request(method, path, headers, body)
    assert (answer.status, answer.body, told(answer)) == (413, refusal, ("a", 1))
