"""Client connections stay usable whatever the attempts did, and upstream connections are shared and kept."""

from __future__ import annotations

import asyncio
import random

from e2e.conftest import Launch
from e2e.harness import How, config
from e2e.helpers import ANTHROPIC, accounts_of, told
from mitm_balancer.testing import FakeProvider, Step, steps

LENIENT = {"circuit_breaker": {"failure_threshold": 100000}, "retry_budget": 100000}
"""These tests are about connections: no verdict may end the traffic."""

BRIEF = steps.rate_limited(retry_after_ms=1)


async def test_two_hundred_requests_on_one_connection_every_second_fails_over(
    fake: FakeProvider, launch: Launch, how: How
) -> None:
    """All are 200 and whole, in the order asked; upstream it took a handful of connections, not two hundred."""
    # Being overloaded benches nobody, so the first account is asked first each time.
    fake.play("anthropic0", *[steps.ok(), steps.overloaded()] * 100)
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2), policy=LENIENT), how=how)
    async with await proxy.dial(ANTHROPIC.host) as client:
        for number in range(200):
            answer = await client.request(*ANTHROPIC.request(stream=number % 4 < 2, test_id=str(number)))
            assert (answer.status, answer.complete) == (200, True), number
            assert told(answer)[1] == 1 + number % 2, number
    assert fake.ledger.accepted() == {str(number): 1 for number in range(200)}
    assert len(fake.ledger) == 300
    assert len({record.connection_id for record in fake.ledger}) <= 3


async def test_fifty_streams_at_once_on_one_h2_connection(fake: FakeProvider, launch: Launch, how: How) -> None:
    """Each of them is served by the second account; a second wave of fifty needs no new upstream connection."""
    fake.play("anthropic0", then=steps.rate_limited(retry_after=600))
    fake.play("anthropic1", then=steps.ok(events=4, gap=0.1))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2)), how=how)
    async with await proxy.dial_h2(ANTHROPIC.host) as client:
        for wave in ("first", "second"):
            if wave == "second":
                before = fake.ledger.connections
            asked = [client.request(*ANTHROPIC.request(stream=True, test_id=f"{wave}-{n}")) for n in range(50)]
            for answer in await asyncio.gather(*asked):
                assert (answer.status, answer.complete, told(answer)[0]) == (200, True, "anthropic1")
                assert answer.text.count("text_delta") == 4 and "message_stop" in answer.text
    assert set(fake.ledger.accepted().values()) == {1} and len(fake.ledger.accepted()) == 100
    assert fake.ledger.connections == before


async def test_new_client_connections_share_the_upstream_ones(fake: FakeProvider, launch: Launch, how: How) -> None:
    """What Claude Code does: a client connection for each request. The provider sees one connection or two."""
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1)), how=how)
    for number in range(20):
        async with await proxy.dial(ANTHROPIC.host) as client:
            answer = await client.request(*ANTHROPIC.request(stream=True, test_id=str(number)))
            assert answer.status == 200
    assert fake.ledger.connections <= 2


TROUBLES: tuple[Step, ...] = (
    BRIEF,
    steps.server_error(500),
    steps.server_error(502),
    steps.server_error(503),
    steps.server_error(529),
    steps.reset_before_head(),
    steps.close_before_head(),
    steps.raw(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
    steps.error_first(),
    steps.error_after(1),
    steps.cut(0),
    steps.cut(1),
    steps.cut(2, "fin"),
    steps.invalid(),
    steps.too_large(),
    steps.no_end_marker(),
    steps.malformed(),
    steps.closing("announced"),
    steps.closing("silent"),
    steps.until_eof(),
    steps.gzipped(),
    steps.informational(),
    steps.odd_headers(),
    steps.ok(),
)


async def test_a_connection_outlives_hundreds_of_requests_after_errors_of_all_kinds(
    fake: FakeProvider, launch: Launch
) -> None:
    """Every answer is whole and well-formed whatever the provider did, on the one connection that the client has."""
    rng = random.Random(20251122)
    for label in ("anthropic0", "anthropic1", "anthropic2"):
        fake.play(label, *(rng.choice(TROUBLES) for _ in range(200)))
    policy = LENIENT | {"backoff": {"base_ms": 1, "max_ms": 2}, "hold_ms": 2000}
    proxy = await launch(config(*accounts_of(fake, "anthropic", 3), policy=policy))
    statuses = set()
    async with await proxy.dial(ANTHROPIC.host) as client:
        for number in range(250):
            answer = await client.request(*ANTHROPIC.request(stream=True, test_id=str(number)))
            assert answer.complete, (number, answer.raw_head, answer.error)
            statuses.add(answer.status)
    assert {200, 400, 413} <= statuses
    assert len({record.step for record in fake.ledger}) > 15
    assert max(fake.ledger.accepted().values()) <= 2, "billed more than twice (P5)"
