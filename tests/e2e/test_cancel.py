"""A client that hangs up cancels the provider's work at once, and nobody pays for it (P6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from e2e.conftest import Launch
from e2e.h2client import H2Answer, H2Client
from e2e.harness import How, Proxy, config
from e2e.helpers import ANTHROPIC, Client, accounts_of, dial, told
from e2e.rawclient import RawClient
from mitm_balancer.testing import FakeProvider, Step, steps

AT_ONCE = 0.5
"""Seconds from the hang-up to the provider seeing it, on two shared cores."""

HANG_UPS = ("h1 reset", "h1 close", "h2 stream reset", "h2 connection reset")
STEPS: dict[str, tuple[Step, Callable[[FakeProvider], bool]]] = {
    "before the head": (steps.silence(), lambda fake: fake.ledger[-1].read_at is not None),
    "while the stream is held": (steps.stall(0), lambda fake: fake.ledger[-1].bytes_sent > 0),
    "mid-stream": (steps.stall(1), lambda fake: fake.ledger[-1].bytes_sent > 0),
}


async def _hang_up(client: Client, answer: H2Answer | None, way: str) -> None:
    if isinstance(client, H2Client):
        assert answer is not None
        if way == "h2 stream reset":
            await client.cancel(answer)
        else:
            client.abort()
    elif way == "h1 reset":
        client.abort()
    else:
        client.writer.close()


async def _ask_and_leave(fake: FakeProvider, proxy: Proxy, way: str, moment: str) -> float:
    """Seconds until the provider saw it."""
    step, reached = STEPS[moment]
    fake.ledger.clear()
    fake.play("anthropic0", step)
    client = await dial(proxy, way[:2], ANTHROPIC.host)
    started = await client.start(*ANTHROPIC.request(stream=True))
    await fake.until(lambda: fake.ledger and reached(fake))
    if moment == "mid-stream":
        await _first_text(client, started)
    left = time.monotonic()
    await _hang_up(client, started, way)
    await fake.until(lambda: fake.ledger[0].client_gone)
    assert len(fake.ledger) == 1, "a request whose client is gone was sent again"
    gone_at = fake.ledger[0].gone_at
    assert gone_at is not None
    if way != "h2 connection reset":
        await client.close() if isinstance(client, RawClient) else await client.__aexit__(None, None, None)
    return gone_at - left


async def _first_text(client: Client, started: H2Answer | None) -> None:
    if isinstance(client, H2Client):
        assert started is not None
        async for data in client.pieces(started):
            if ANTHROPIC.text_mark in data:
                return
    else:
        answer = await client.read_head()
        async for data in client.read_body(answer):
            if ANTHROPIC.text_mark in data:
                return
    raise AssertionError("the stream ended before its first text")


async def test_a_hang_up_reaches_the_provider_at_once_and_counts_for_nothing(
    fake: FakeProvider, launch: Launch, how: How
) -> None:
    """h1 and h2, before the head, while the stream is held back, and in its middle: seen within half a second.

    Twelve of them in a row, more than any breaker's threshold: the account serves the next request at once.
    """
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2)), how=how)
    for moment in STEPS:
        for way in HANG_UPS:
            seconds = await _ask_and_leave(fake, proxy, way, moment)
            assert seconds < AT_ONCE, (moment, way, seconds)
    async with await proxy.dial(ANTHROPIC.host) as client:
        answer = await client.request(*ANTHROPIC.request(stream=True))
    assert (answer.status, told(answer)) == (200, ("anthropic0", 1))
    assert not fake.ledger.of("anthropic1")


async def test_the_other_streams_of_the_connection_go_on(fake: FakeProvider, launch: Launch) -> None:
    """RST_STREAM of one h2 stream: its neighbours on the same connection come to their end."""
    fake.play("anthropic0", steps.stall(1))
    fake.play("anthropic0", then=steps.ok(events=5, gap=0.1))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1)))
    async with await proxy.dial_h2(ANTHROPIC.host) as client:
        stuck = await client.start(*ANTHROPIC.request(stream=True))
        await _first_text(client, stuck)
        running = [await client.start(*ANTHROPIC.request(stream=True)) for _ in range(3)]
        await client.cancel(stuck)
        await fake.until(lambda: fake.ledger[0].client_gone)
        for answer in running:
            async for _ in client.pieces(answer):
                pass
            assert (answer.status, answer.complete) == (200, True) and "message_stop" in answer.text


async def test_a_client_that_leaves_while_everybody_cools_asks_nobody(fake: FakeProvider, launch: Launch) -> None:
    """The request is on hold until the first account is back; its client leaves; nothing is sent for it."""
    fake.play("anthropic0", steps.rate_limited(retry_after=1))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1)))
    client = await proxy.dial(ANTHROPIC.host)
    await client.start(*ANTHROPIC.request(stream=True))
    await fake.until(lambda: fake.ledger and fake.ledger[0].finished)
    client.abort()
    await asyncio.sleep(1.5)
    assert len(fake.ledger) == 1


@pytest.mark.parametrize("answer_first", [False, True], ids=["waiting", "streaming"])
async def test_half_a_request_is_no_request(fake: FakeProvider, launch: Launch, answer_first: bool) -> None:
    """A client that leaves in the middle of its body, on a connection that may have served before: nothing is sent."""
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1)))
    client = await proxy.dial(ANTHROPIC.host)
    if answer_first:
        assert (await client.request(*ANTHROPIC.request(stream=True))).status == 200
    method, path, headers, body = ANTHROPIC.request(stream=True)
    await client.start(method, path, [*headers, ("content-length", str(len(body)))], body[:10])
    await asyncio.sleep(0.1)
    client.abort()
    await asyncio.sleep(0.3)
    assert len(fake.ledger) == answer_first
