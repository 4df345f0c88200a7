"""An account that is nearly used up, in a running proxy: who still goes there, and what the trace tells of a move."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from e2e.conftest import Launch
from e2e.harness import Proxy, config
from e2e.helpers import ANTHROPIC, accounts_of, told, until
from mitm_balancer.store import Store
from mitm_balancer.testing import FakeProvider, steps

PERSON = {"role": "user", "content": "go on"}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]}


async def turn(proxy: Proxy, session: str, last: dict[str, Any]) -> str:
    """The account that served a request of that session whose last message is this one."""
    method, target, headers, _ = ANTHROPIC.request(stream=True)
    body = ANTHROPIC.fields() | {"stream": True}
    body["messages"] = [*body["messages"], {"role": "assistant", "content": "yes"}, last]
    headers = [*headers, ("x-claude-code-session-id", session)]
    async with await proxy.dial(ANTHROPIC.host) as client:
        answer = await client.request(method, target, headers, json.dumps(body).encode())
    assert answer.status == 200, answer.text
    return told(answer)[0]


async def noted(proxy: Proxy) -> None:
    """Headers of limits have been read: that is done once a second, not for every answer."""
    with contextlib.closing(Store.open(proxy.home)) as store:
        await until(lambda: [w for w in store.windows() if (w.used_percent or 0) > 90], "the window in the store")


async def test_a_nearly_empty_account_keeps_its_sessions_until_a_turn_ends(fake: FakeProvider, launch: Launch) -> None:
    """At 97 %: new sessions go to the other one. One that is there stays in the middle of a turn, and moves with the
    user's next question, because its prompt is short; `leave_at: 0` would keep all of them."""
    unified = "anthropic-ratelimit-unified"
    told_by_provider = (
        (f"{unified}-5h-utilization", "0.97"),
        (f"{unified}-5h-reset", str(int(time.time()) + 3600)),
        (f"{unified}-5h-status", "allowed_warning"),
    )
    fake.play("anthropic0", then=steps.ok(headers=told_by_provider))
    accounts = [one | {"priority": 0} for one in accounts_of(fake, "anthropic", 2)]
    proxy = await launch(config(*accounts))
    assert await turn(proxy, "old", PERSON) == "anthropic0"
    await noted(proxy)
    assert await turn(proxy, "new", PERSON) == "anthropic1"
    assert await turn(proxy, "old", RESULT) == "anthropic0"
    assert await turn(proxy, "old", PERSON) == "anthropic1"
    assert await turn(proxy, "old", RESULT) == "anthropic1"
    await proxy.stop()
    store = Store.open(proxy.home)
    records = [json.loads(text) for (text,) in store.read("SELECT record FROM traces ORDER BY seq")]
    store.close()
    switches = [record["switch"] for record in records if "switch" in record]
    assert len(switches) == 1
    cold = switches[0].pop("cold_tokens")
    assert switches == [
        {"from": "anthropic/anthropic0", "to": "anthropic/anthropic1", "why": "97 % used, kept for its sessions"}
    ]
    assert 0 < cold < 30_000


async def test_leaving_can_be_switched_off(fake: FakeProvider, launch: Launch) -> None:
    """Then an account is used to its end."""
    headers = (
        ("anthropic-ratelimit-unified-5h-utilization", "0.97"),
        ("anthropic-ratelimit-unified-5h-reset", "4102444800"),
    )
    fake.play("anthropic0", then=steps.ok(headers=headers))
    proxy = await launch(
        config(*({**one, "priority": 0} for one in accounts_of(fake, "anthropic", 2)), priority={"leave_at": 0})
    )
    assert await turn(proxy, "old", PERSON) == "anthropic0"
    await noted(proxy)
    assert [await turn(proxy, name, PERSON) for name in ("new", "old")] == ["anthropic0"] * 2
