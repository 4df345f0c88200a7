"""The first seconds of a proxy: credentials are still being read when the first request comes."""

from __future__ import annotations

from e2e.conftest import Launch
from e2e.harness import How, account, config
from e2e.helpers import ANTHROPIC, told
from mitm_balancer.testing import FakeProvider


async def test_the_first_request_waits_for_a_slow_password_manager(
    fake: FakeProvider, launch: Launch, how: How
) -> None:
    """`balancer exec` starts the proxy and the agent at once; the account serves, not the agent's own credential."""
    slow = {"command": "sh -c 'sleep 1.5; echo KEY-A'"}
    proxy = await launch(config(account("anthropic", "a", slow, fake)), how=how)  # type: ignore[arg-type]
    async with await proxy.dial(ANTHROPIC.host) as client:
        answer = await client.request(*ANTHROPIC.request(stream=False))
    assert told(answer) == ("a", 1)


async def test_one_that_cannot_be_read_holds_nobody_else_back(fake: FakeProvider, launch: Launch, how: How) -> None:
    broken = {"command": "sh -c 'sleep 1.5; exit 1'"}
    accounts = (account("anthropic", "x", broken, fake), account("anthropic", "a", "KEY-A", fake))  # type: ignore[arg-type]
    proxy = await launch(config(*accounts), how=how)
    async with await proxy.dial(ANTHROPIC.host) as client:
        answer = await client.request(*ANTHROPIC.request(stream=False))
    assert told(answer) == ("a", 1)
