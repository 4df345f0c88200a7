"""The operator's verbs as commands of mitmproxy: each holds when it returns, and is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Launch
from e2e.hands import CommandFailed, cli, command, commanded, known
from e2e.harness import Proxy, config
from e2e.helpers import ANTHROPIC, accounts_of, came_one_by_one, told
from e2e.rawclient import RawAnswer
from mitm_balancer.testing import FakeProvider, steps

VERBS = (
    "accounts.list", "status", "pause", "resume", "drain", "disable", "clear", "inspect", "use", "on", "off", "reload",
    "why", "priority.list", "priority.move", "priority.enable", "priority.disable", "priority.model",
    "priority.strategy",
)  # fmt: skip


async def ask(proxy: Proxy) -> RawAnswer:
    async with await proxy.dial(ANTHROPIC.host) as client:
        return await client.request(*ANTHROPIC.request(stream=True))


async def who(proxy: Proxy) -> str:
    return told(await ask(proxy))[0]


@pytest.fixture
async def proxy(fake: FakeProvider, launch: Launch, tmp_path: Path) -> Proxy:
    text = config(*accounts_of(fake, "anthropic", 2), policy={"hold_ms": 0})
    return await known(await launch(text, **commanded(tmp_path)))


@pytest.mark.parametrize("verb", ["pause", "drain", "disable"])
async def test_a_state_holds_at_once_and_is_kept(proxy: Proxy, verb: str) -> None:
    (line,) = await command(proxy, f"balancer.{verb}", "anthropic0")
    assert line.startswith("anthropic/anthropic0 is ")
    assert await who(proxy) == "anthropic1"

    await command(proxy, "balancer.resume", "anthropic/anthropic0")
    await command(proxy, f"balancer.{verb}", "anthropic1")
    assert await who(proxy) == "anthropic0"

    states = {a["name"]: a["state"] for a in (await cli(proxy, "status", "--json")).json()["accounts"]}
    word = {"pause": "paused", "drain": "drained", "disable": "disabled"}[verb]
    assert states == {"anthropic/anthropic0": "ready", "anthropic/anthropic1": word}


async def test_a_drained_account_ends_its_stream(fake: FakeProvider, proxy: Proxy) -> None:
    fake.play("anthropic0", steps.ok(events=15, gap=0.1))
    running = asyncio.ensure_future(ask(proxy))
    await fake.until(lambda: len(fake.ledger) == 1)

    await command(proxy, "balancer.drain", "anthropic0")

    assert await who(proxy) == "anthropic1"
    assert not running.done(), "the stream was too short to prove anything"
    answer = await running
    assert answer.complete and told(answer) == ("anthropic0", 1)
    came_one_by_one(answer, ANTHROPIC.text_mark, 15, 0.1)


async def test_clear_and_use(fake: FakeProvider, proxy: Proxy) -> None:
    fake.play("anthropic0", steps.rate_limited(retry_after=3600), then=steps.ok())
    assert told(await ask(proxy)) == ("anthropic1", 2)
    rows = {row[0]: row for row in await command(proxy, "balancer.accounts.list")}
    assert rows["anthropic/anthropic0"][1] == "cooling"
    assert "RateLimited" in rows["anthropic/anthropic0"][4]
    assert rows["anthropic/anthropic1"][1:3] == ["ready", "active"]

    assert "forgotten" in (await command(proxy, "balancer.clear", "anthropic0"))[0]
    assert await who(proxy) == "anthropic1", "it stays where it is"
    await command(proxy, "balancer.use", "anthropic0")
    assert await who(proxy) == "anthropic0"
    await command(proxy, "balancer.use", "anthropic1")
    assert await who(proxy) == "anthropic1"


async def test_off_and_on(fake: FakeProvider, proxy: Proxy) -> None:
    fake.play("anthropic0", steps.rate_limited(retry_after=1), then=steps.rate_limited(retry_after=1))
    await command(proxy, "balancer.off")
    assert (await ask(proxy)).status == 429
    assert "balancing off: no failover" in await command(proxy, "balancer.status")

    await command(proxy, "balancer.on")
    assert await who(proxy) == "anthropic1"


async def test_inspect_and_why_tell_what_happened(fake: FakeProvider, proxy: Proxy) -> None:
    fake.play("anthropic0", steps.rate_limited(retry_after=3600))
    assert told(await ask(proxy)) == ("anthropic1", 2)

    text = "\n".join(await command(proxy, "balancer.inspect", "anthropic"))
    assert "anthropic/anthropic0: cooling" in text
    assert "last error" in text and "RateLimited" in text
    assert "anthropic/anthropic1: ready, active" in text
    story = await command(proxy, "balancer.why")
    assert any("1. anthropic/anthropic0" in line and "429 RateLimited" in line for line in story)
    assert await command(proxy, "balancer.why", story[0].split()[1]) == story
    for lines in (text, "\n".join(story)):
        assert "KEY-" not in lines


async def test_the_order_is_changed_at_once(proxy: Proxy) -> None:
    assert await who(proxy) == "anthropic0"
    assert await command(proxy, "balancer.priority.list") == [
        "strategy priority", "-  anthropic: serves its own clients only", "     anthropic0", "     anthropic1",
    ]  # fmt: skip

    await command(proxy, "balancer.priority.move", "anthropic1", "first")
    assert (await command(proxy, "balancer.priority.list"))[2:] == ["     anthropic1", "     anthropic0"]
    await command(proxy, "balancer.priority.strategy", "least-loaded")
    assert await who(proxy) == "anthropic1"
    assert "strategy least-loaded" in (await cli(proxy, "status")).out

    await command(proxy, "balancer.priority.enable", "anthropic")
    await command(proxy, "balancer.priority.enable", "openrouter", "glm-4.6")
    await command(proxy, "balancer.priority.model", "openrouter", "-")
    await command(proxy, "balancer.priority.disable", "openrouter")
    assert (await command(proxy, "balancer.priority.list"))[1:] == [
        "1. anthropic: the client's model", "     anthropic1", "     anthropic0", "2. openrouter: disabled",
    ]  # fmt: skip
    with pytest.raises(CommandFailed, match="there is no strategy magic"):
        await command(proxy, "balancer.priority.strategy", "magic")
    with pytest.raises(CommandFailed, match="expected up, down"):
        await command(proxy, "balancer.priority.move", "anthropic1", "sideways")


async def test_reload_tells_in_the_log(fake: FakeProvider, proxy: Proxy) -> None:
    proxy.rewrite("version: 1\naccounts: 7\n")
    await command(proxy, "balancer.reload")
    await proxy.says("the running one stays", timeout=4)
    assert any("config.yaml:2" in line for line in await command(proxy, "balancer.status"))
    assert await who(proxy) == "anthropic0"

    proxy.rewrite(config(accounts_of(fake, "anthropic", 2)[1]))
    await command(proxy, "balancer.reload")
    await proxy.says("configuration read", timeout=4)
    assert await who(proxy) == "anthropic1"
    assert not any("problem" in line for line in await command(proxy, "balancer.status"))


async def test_a_wrong_name_is_told_with_the_right_one(proxy: Proxy) -> None:
    with pytest.raises(CommandFailed, match="did you mean anthropic0"):
        await command(proxy, "balancer.pause", "antropic0")
    with pytest.raises(CommandFailed, match="is not among"):
        await command(proxy, "balancer.why", "ffffffffffff")
    assert await who(proxy) == "anthropic0"


async def test_accounts_are_completed_and_every_command_says_what_it_does(proxy: Proxy) -> None:
    found = await command(proxy, "complete", "balancer.pause")
    assert found == ["anthropic/anthropic0", "anthropic/anthropic1", "anthropic", "anthropic0", "anthropic1"]
    assert "least-loaded" in await command(proxy, "complete", "balancer.priority.strategy")
    assert "openrouter" in await command(proxy, "complete", "balancer.priority.enable")
    helps: dict[str, Any] = await command(proxy, "help")
    for verb in VERBS:
        signature, text = helps[f"balancer.{verb}"]
        assert (text and "target" not in signature) or "account" not in text.lower() or text
    assert helps["balancer.pause"][0] == "balancer.pause target -> str[]"
