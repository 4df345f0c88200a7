"""How much runs at once, where sessions stay, and what the operator says: in running proxies."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from e2e.conftest import Launch
from e2e.harness import Proxy, config, start_proxy
from e2e.helpers import ANTHROPIC, accounts_of, told, until
from e2e.rawclient import RawAnswer
from mitm_balancer.store import Store, asks
from mitm_balancer.testing import FakeProvider, steps

SLOW = {"events": 8, "gap": 0.1}


async def ask(proxy: Proxy, session: str = "", test_id: str = "") -> RawAnswer:
    method, target, headers, body = ANTHROPIC.request(stream=True, test_id=test_id)
    headers = [*headers, ("x-claude-code-session-id", session or f"of-{test_id}")]
    async with await proxy.dial(ANTHROPIC.host) as client:
        return await client.request(method, target, headers, body)


async def served(proxy: Proxy, session: str) -> str:
    answer = await ask(proxy, session)
    assert answer.status == 200, answer.text
    return told(answer)[0]


async def test_a_busy_account_is_passed_over_and_the_third_waits(fake: FakeProvider, launch: Launch) -> None:
    """Two accounts with one slot each: three streams at once are two at once and then one; nobody sees an error."""
    for n in range(2):
        fake.play(f"anthropic{n}", then=steps.ok(**SLOW))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2, concurrency_limit=1)))
    begun = time.monotonic()
    answers = await asyncio.gather(*(ask(proxy, test_id=str(n)) for n in range(3)))
    assert [(a.status, a.complete) for a in answers] == [(200, True)] * 3
    assert all(told(a)[1] == 1 for a in answers)
    assert {told(a)[0] for a in answers} == {"anthropic0", "anthropic1"}
    assert time.monotonic() - begun > 2 * 7 * 0.1, "the third began when one of the others had ended"
    assert fake.ledger.accepted() == {"0": 1, "1": 1, "2": 1}


async def test_a_full_queue_is_told_at_once_in_the_providers_shape(fake: FakeProvider, launch: Launch) -> None:
    """And the slot of a client that hangs up is free."""
    fake.play("anthropic0", then=steps.ok(events=40, gap=0.1))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 1, concurrency_limit=1), policy={"queue_limit": 0}))
    running = asyncio.ensure_future(ask(proxy, test_id="first"))
    while not fake.ledger.of("anthropic0"):
        await asyncio.sleep(0.02)
    begun = time.monotonic()
    refused = await ask(proxy, test_id="second")
    assert time.monotonic() - begun < 2, "the running one takes four seconds"
    assert refused.status == 529
    assert json.loads(refused.text)["error"]["type"] == "overloaded_error"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    fake.play("anthropic0", then=steps.ok())
    for _ in range(50):
        if (answer := await ask(proxy, test_id="third")).status == 200:
            break
        await asyncio.sleep(0.05)
    assert answer.status == 200


async def test_a_session_stays_where_it_is_over_restarts(fake: FakeProvider, tmp_path: Path) -> None:
    """It moved when its account was limited; when that one is back, new sessions go there and this one does not.

    (With a strategy that spreads: the others stay on the account in use, over restarts too.)
    """
    fake.play("anthropic0", steps.rate_limited(retry_after=1))
    spread = {"strategy": "round-robin"}
    text = config(*accounts_of(fake, "anthropic", 2), policy={"hold_ms": 0}, priority=spread)
    async with start_proxy(tmp_path, text, fake=fake) as proxy:
        assert await served(proxy, "moved") == "anthropic1"
        await proxy.stop()
    await asyncio.sleep(1.3)
    async with start_proxy(tmp_path, text, fake=fake) as proxy:
        assert await served(proxy, "moved") == "anthropic1"
        assert await served(proxy, "new") == "anthropic0"
        assert await served(proxy, "moved") == "anthropic1"


async def test_new_sessions_take_turns_when_the_strategy_says_so(fake: FakeProvider, launch: Launch) -> None:
    """Switched by a reload, while it runs; a session stays where it began."""
    # Of one rank: otherwise the others would be reserves.
    accounts = [{**account, "priority": 0} for account in accounts_of(fake, "anthropic", 3)]
    proxy = await launch(config(*accounts))
    assert [await served(proxy, s) for s in "abc"] == ["anthropic0"] * 3
    proxy.rewrite(config(*accounts, priority={"strategy": "round-robin"}))
    await proxy.says("configuration reloaded")
    where = [await served(proxy, s) for s in "defdef"]
    assert set(where[:3]) == {"anthropic0", "anthropic1", "anthropic2"}
    assert where[:3] == where[3:]
    assert await served(proxy, "a") == "anthropic0"


async def obeyed(store: Store) -> None:
    """The proxy has taken what is in the store: it does that before it answers. A busy machine adds to the second."""
    number = await asyncio.to_thread(asks.ask, store, "obey", {})
    await until(lambda: asks.replied(store, number) is not None, "the proxy's answer", 1.0 + 3.0)


async def test_the_operator_is_heard_within_a_second(fake: FakeProvider, launch: Launch) -> None:
    """Through the store, as the CLI does it: paused takes all away, drained leaves the sessions that are there."""
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2)))
    assert await served(proxy, "old") == "anthropic0"
    store = Store.open(proxy.home)
    try:
        for flag, old in (("drained", "anthropic0"), ("paused", "anthropic1")):
            assert store.set_account_flag("anthropic/anthropic0", flag, True).result(10)
            await obeyed(store)
            assert await served(proxy, f"new {flag}") == "anthropic1"
            assert await served(proxy, "old") == old
            assert store.set_account_flag("anthropic/anthropic0", flag, None).result(10)
            await obeyed(store)
        assert store.set_account_flag("anthropic", "disabled", True).result(10)
        await obeyed(store)
        await ask(proxy, "old")
        assert len(fake.ledger.of("anthropic0")) + len(fake.ledger.of("anthropic1")) == 5, "nobody served the last one"
    finally:
        store.close()
