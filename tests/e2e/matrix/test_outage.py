"""503 from every account for a while, then healthy: a minute of a provider's outage, shortened."""

from __future__ import annotations

import asyncio
import time

from e2e.conftest import Launch
from e2e.harness import Proxy
from e2e.helpers import SPEECHES, Corner, ask, config_of, corner, told
from mitm_balancer.testing import FakeProvider, steps

OUTAGE = 1.5
PAUSE = 0.05
RESERVE, SHARE = 3, 0.2
"""The retry budget of P2."""
REFILLED = 1
"""What of the reserve comes back during the outage: 3 in 10 s."""
POLICY = {
    "hold_ms": 0,
    "backoff": {"base_ms": 10, "max_ms": 20, "jitter": "none"},
    "circuit_breaker": {"half_open_after_ms": 200},
}


async def test_an_outage_is_passed_on_not_amplified_and_over_at_once(fake: FakeProvider, launch: Launch) -> None:
    """During it the provider's own 503, few extra attempts (P2); after it the next request is served in one attempt."""
    corners = {
        corner(fake, f"outage-{speech.name}-{stream}".lower(), speech, [None] * 3): stream
        for speech in SPEECHES
        for stream in (True, False)
    }
    for where in corners:
        for label in where.labels:
            fake.play(label, then=steps.server_error(503))
    proxy = await launch(config_of(list(corners), policy=POLICY))
    asked = await asyncio.gather(*(_through_the_outage(proxy, where, stream) for where, stream in corners.items()))
    for where, count in zip(corners, asked, strict=True):
        arrived = sum(len(fake.ledger.of(label)) for label in where.labels)
        assert count <= arrived <= count * (1 + SHARE) + RESERVE + REFILLED, f"{where.name}: {arrived} for {count}"
    for where in corners:
        for label in where.labels:
            fake.play(label, then=steps.ok())
    for where, stream in corners.items():
        answer = await ask(proxy, where, stream=stream)
        assert (answer.status, answer.complete) == (200, True), where.name
        assert told(answer)[1] == 1, f"{where.name}: {told(answer)}"


async def _through_the_outage(proxy: Proxy, where: Corner, stream: bool) -> int:
    """Ask until it is over, as a client that retries does; the number of requests."""
    end, count = time.monotonic() + OUTAGE, 0
    while time.monotonic() < end:
        answer = await ask(proxy, where, stream=stream)
        count += 1
        assert answer.status == 503 and "mitm-balancer" not in answer.text, f"{where.name}: {answer.text}"
        assert told(answer)[1] <= 3, where.name
        await asyncio.sleep(PAUSE)
    return count
