"""Two proxies with one home, and a configuration file that goes away: what the CLI says is so."""

from __future__ import annotations

import asyncio
import functools
import json
import subprocess

from e2e.conftest import Launch
from e2e.hands import cli, known
from e2e.harness import BIN, REPO, Proxy, bare_environment, config
from e2e.helpers import ANTHROPIC, accounts_of, told
from mitm_balancer.testing import FakeProvider, steps

NO_HOLD = {"hold_ms": 0}


async def who(proxy: Proxy) -> str:
    """The account that serves a new conversation."""
    async with await proxy.dial(ANTHROPIC.host) as client:
        return told(await client.request(*ANTHROPIC.request(stream=False)))[0]


async def said(proxy: Proxy, *words: str, code: int = 0) -> str:
    done = await cli(proxy, *words)
    assert done.code == code, done
    return done.out


async def test_both_proxies_of_a_home_obey(fake: FakeProvider, launch: Launch) -> None:
    text = config(*accounts_of(fake, "anthropic", 1), policy=NO_HOLD)
    first = await known(await launch(text))
    second = await launch()
    fake.play("anthropic0", steps.rate_limited(retry_after=600))
    assert await who(first) == "none"
    async with asyncio.timeout(20):
        while await who(second) != "none":  # it has been told through the store, or by the provider
            await asyncio.sleep(0.1)

    await said(first, "clear", "anthropic0")
    async with asyncio.timeout(20):
        while {await who(first), await who(second)} != {"anthropic0"}:
            await asyncio.sleep(0.1)


async def test_a_proxy_that_ends_does_not_hide_the_other_one(fake: FakeProvider, launch: Launch) -> None:
    text = config(*accounts_of(fake, "anthropic", 1))
    first = await known(await launch(text))
    second = await launch()
    async with asyncio.timeout(20):
        while json.loads(await said(first, "status", "--json"))["proxy"]["pid"] != second.process.pid:
            await asyncio.sleep(0.1)

    await second.stop()

    async with asyncio.timeout(3):  # sooner than the next heartbeat
        while (found := json.loads(await said(first, "status", "--json"))["proxy"]) is None:
            await asyncio.sleep(0.1)
    assert found["pid"] == first.process.pid


async def test_a_file_that_is_gone_is_told_and_what_was_read_goes_on(fake: FakeProvider, launch: Launch) -> None:
    text = config(*accounts_of(fake, "anthropic", 2))
    proxy = await known(await launch(text))
    assert await who(proxy) == "anthropic0"

    proxy.config_path.unlink()
    await proxy.says("the file is gone")

    assert await who(proxy) == "anthropic0"
    # Named by --config, and as the file of the home.
    for named in (["--config", str(proxy.config_path)], []):
        words = ["--home", str(proxy.home), *named, "status", "--json"]
        run = functools.partial(subprocess.run, [str(BIN / "balancer"), *words], capture_output=True, check=True)
        environ = bare_environment(proxy.log.parent) | {"PYTHONPATH": str(REPO / "addon")}
        picture = json.loads((await asyncio.to_thread(run, env=environ)).stdout)
        assert [account["alias"] for account in picture["accounts"]] == ["anthropic0", "anthropic1"]
        assert picture["config_problem"]
        assert "config.yaml: the file is gone" in " ".join(picture["problems"])

    proxy.rewrite(text)
    await proxy.says("configuration reloaded: 2 accounts")
    assert not json.loads(await said(proxy, "status", "--json"))["problems"]


async def test_account_verbs_go_on_while_the_configuration_has_a_mistake(fake: FakeProvider, launch: Launch) -> None:
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 2))))
    proxy.rewrite("version: 1\naccounts: 7\n")
    await proxy.says("configuration not taken")

    listed = json.loads(await said(proxy, "accounts", "list", "--json"))
    assert [row["name"] for row in listed["accounts"]] == ["anthropic/anthropic0", "anthropic/anthropic1"]
    assert "config.yaml:2: accounts: expected a list" in " ".join(listed["problems"])
    await said(proxy, "accounts", "use", "anthropic1")
    assert await who(proxy) == "anthropic1"
    await said(proxy, "accounts", "disable", "anthropic1")
    await said(proxy, "accounts", "enable", "anthropic1")
    refused = await cli(proxy, "accounts", "test", "anthropic1")
    assert (refused.code, "expected a list" in refused.err) == (1, True), "their credentials are not known here"
