"""The operator's verbs against a running proxy: what the CLI says has happened has happened."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import pytest
from wsproto.events import TextMessage

from e2e.conftest import Launch
from e2e.hands import Said, cli, known
from e2e.harness import REPO, Proxy, config
from e2e.helpers import ANTHROPIC, accounts_of, came_one_by_one, told, until
from e2e.rawclient import RawAnswer
from e2e.test_websocket import CREATE, Socket, close_code, said_in
from mitm_balancer.testing import FakeProvider, steps

NO_HOLD = {"hold_ms": 0}


async def ask(proxy: Proxy) -> RawAnswer:
    async with await proxy.dial(ANTHROPIC.host) as client:
        return await client.request(*ANTHROPIC.request(stream=True))


async def who(proxy: Proxy) -> str:
    """The account that serves a new conversation."""
    return told(await ask(proxy))[0]


async def obeyed(proxy: Proxy, *words: str) -> Said:
    """The verb has succeeded, and the proxy has said so itself."""
    said = await cli(proxy, *words, "--json")
    assert said.code == 0, said.err
    assert said.json()["proxy"] == "obeyed", said.out
    return said


@pytest.mark.parametrize("verb", ["pause", "drain", "disable"])
async def test_a_state_holds_once_the_verb_has_ended_and_resume_ends_it(
    fake: FakeProvider, launch: Launch, verb: str
) -> None:
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 2))))
    assert await who(proxy) == "anthropic0"

    await obeyed(proxy, verb, "anthropic0")
    assert await who(proxy) == "anthropic1"

    await obeyed(proxy, "resume", "anthropic/anthropic0")
    await obeyed(proxy, verb, "anthropic1")
    assert await who(proxy) == "anthropic0"


async def test_a_drained_account_ends_its_stream_and_takes_nothing_new(fake: FakeProvider, launch: Launch) -> None:
    fake.play("anthropic0", steps.ok(events=25, gap=0.1))
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 2))))
    running = asyncio.ensure_future(ask(proxy))
    await fake.until(lambda: len(fake.ledger) == 1)

    await obeyed(proxy, "drain", "anthropic0")

    assert not running.done(), "the stream was too short to prove anything"
    assert await who(proxy) == "anthropic1"
    answer = await running
    assert answer.complete and told(answer) == ("anthropic0", 1)
    came_one_by_one(answer, ANTHROPIC.text_mark, 25, 0.1)
    assert len(fake.ledger.of("anthropic0")) == 1


async def test_a_paused_provider_leaves_the_agent_its_own_credential(fake: FakeProvider, launch: Launch) -> None:
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 1), policy=NO_HOLD)))

    said = await obeyed(proxy, "pause", "anthropic")

    assert "agent's own credential" in said.json()["warnings"][0]
    await obeyed(proxy, "resume", "anthropic")
    assert await who(proxy) == "anthropic0"


async def test_clear_ends_a_cooldown_at_once(fake: FakeProvider, launch: Launch) -> None:
    fake.play("anthropic0", steps.rate_limited(retry_after=3600), then=steps.ok())
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 2), priority={"strategy": "round-robin"})))
    assert told(await ask(proxy)) == ("anthropic1", 2)
    assert told(await ask(proxy)) == ("anthropic1", 1)

    said = await obeyed(proxy, "clear", "anthropic0")

    assert said.json()["changed"] == ["anthropic/anthropic0"]
    assert await who(proxy) == "anthropic0"
    assert (await obeyed(proxy, "clear", "anthropic0")).json()["changed"] == []


async def test_clear_ends_a_hold(fake: FakeProvider, launch: Launch) -> None:
    """A request that waits for the only account goes on as soon as the operator says so."""
    fake.play("anthropic0", steps.rate_limited(retry_after=15), then=steps.ok())
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 1))))
    waiting = asyncio.ensure_future(ask(proxy))
    await fake.until(lambda: len(fake.ledger) == 1)
    await asyncio.sleep(0.5)
    assert not waiting.done()

    await obeyed(proxy, "clear", "anthropic0")

    async with asyncio.timeout(20):
        assert (await waiting).status == 200


@pytest.mark.parametrize("how", ["mitmdump", "balancer"])
async def test_off_ends_failover_and_on_brings_it_back(fake: FakeProvider, launch: Launch, how: str) -> None:
    fake.play("anthropic0", steps.rate_limited(retry_after=1), then=steps.rate_limited(retry_after=1))
    text = config(*accounts_of(fake, "anthropic", 2), policy=NO_HOLD)
    proxy = await known(await launch(text, how=how, env={"PYTHONPATH": str(REPO / "addon")}))

    await obeyed(proxy, "off")
    assert (await ask(proxy)).status == 429

    await obeyed(proxy, "on")
    assert await who(proxy) == "anthropic1"


async def test_reload_waits_for_the_answer_and_tells_each_mistake(fake: FakeProvider, launch: Launch) -> None:
    accounts = accounts_of(fake, "anthropic", 2)
    proxy = await known(await launch(config(accounts[0])))
    proxy.rewrite("version: 1\naccounts:\n  - provider: anthropic\n    alias: x\n    kredential: y\n")

    said = await cli(proxy, "reload")

    assert said.code == 1
    assert "config.yaml:5: accounts[0].kredential: " in said.err
    assert await who(proxy) == "anthropic0"
    # Whoever looks is told, and what runs is what is shown.
    status = (await cli(proxy, "status", "--json")).json()
    assert "config.yaml:5: accounts[0].kredential: " in " ".join(status["problems"])
    assert [account["name"] for account in status["accounts"]] == ["anthropic/anthropic0"]
    assert "config.yaml:5: accounts[0].kredential" in (await cli(proxy, "status")).out
    assert "configuration" in (await cli(proxy, "status", "--line")).out
    # Commands do their work all the same.
    await obeyed(proxy, "pause", "anthropic0")
    await obeyed(proxy, "resume", "anthropic0")

    proxy.rewrite(config(*accounts))
    said = await obeyed(proxy, "reload")
    assert said.json()["accounts"] == 2


async def test_reload_forgives_a_refused_credential(fake: FakeProvider, launch: Launch) -> None:
    fake.play("anthropic0", steps.unauthorized(), then=steps.ok())
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 2), priority={"strategy": "round-robin"})))
    assert told(await ask(proxy)) == ("anthropic1", 2)
    assert told(await ask(proxy)) == ("anthropic1", 1)

    await obeyed(proxy, "reload")

    assert await who(proxy) == "anthropic0"


async def test_it_counts_within_a_second(fake: FakeProvider, launch: Launch) -> None:
    """From the moment that the verb starts to work; the start of a Python process is not the proxy's."""
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 2))))
    waits = []
    for verb in ("pause", "resume", "drain"):
        begun = time.monotonic()
        await obeyed(proxy, verb, "anthropic0")
        waits.append(time.monotonic() - begun)
    begun = time.monotonic()
    await cli(proxy, "status", "--json")
    start = time.monotonic() - begun
    assert min(waits) < 1 + start, (waits, start)


async def test_what_a_command_has_set_outlives_the_proxy(fake: FakeProvider, launch: Launch) -> None:
    text = config(*accounts_of(fake, "anthropic", 2))
    proxy = await known(await launch(text))
    await obeyed(proxy, "pause", "anthropic0")
    await proxy.stop()

    assert (await cli(proxy, "off", "--json")).json()["proxy"] == "none"
    assert (await cli(proxy, "on", "--json")).json()["proxy"] == "none"

    proxy = await known(await launch(text))
    assert await who(proxy) == "anthropic1"


async def test_status_and_inspect_show_what_runs_and_what_failed(fake: FakeProvider, launch: Launch) -> None:
    fake.play("anthropic0", steps.rate_limited(retry_after=3600))
    fake.play("anthropic1", steps.ok(events=50, gap=0.1))
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 2))))
    async with asyncio.timeout(20):  # before any request: who would serve
        while "anthropic/anthropic0 · " not in (await cli(proxy, "status", "--line")).out:
            await asyncio.sleep(0.2)
    running = asyncio.ensure_future(ask(proxy))
    await fake.until(lambda: fake.ledger.of("anthropic1"))

    status: dict[str, Any] = {}

    async def is_running(count: int) -> bool:
        status.update((await cli(proxy, "status", "--json")).json())
        return status["proxy"] is not None and status["proxy"]["running"] == count

    await until(lambda: is_running(1), "what runs, in the status")
    first, second = status["accounts"]
    assert not running.done()
    assert (first["state"], second["state"]) == ("cooling", "ready")
    assert (first["in_flight"], second["in_flight"], status["proxy"]["running"]) == (0, 1, 1)
    assert (first["active"], second["active"]) == (False, True)
    assert told(await running) == ("anthropic1", 2)

    await until(lambda: is_running(0), "its end, in the status")
    one = (await cli(proxy, "inspect", "anthropic0", "--json")).json()["accounts"][0]
    assert one["last_error"]["verdict"] == "RateLimited" and one["last_error"]["status"] == 429
    assert (one["failures"], one["in_flight"], one["concurrency_limit"]) == (1, 0, 8)
    text = await cli(proxy, "inspect", "anthropic")
    assert "anthropic/anthropic0  cooling" in text.out and "anthropic/anthropic1  ready" in text.out
    assert "KEY-" not in text.out + str(one)
    assert (await cli(proxy, "inspect", "nobody")).code == 1

    await proxy.stop()
    one, other = (await cli(proxy, "status", "--json")).json()["accounts"]
    assert one["last_error"]["verdict"] == "RateLimited", "what went wrong is known without the proxy"
    assert other["last_used"] is not None and other["in_flight"] == 0


async def test_a_proxy_that_does_not_answer_is_told_and_obeys_when_it_can(fake: FakeProvider, launch: Launch) -> None:
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 2))))
    proxy.process.send_signal(signal.SIGSTOP)
    try:
        said = await cli(proxy, "pause", "anthropic0")
    finally:
        proxy.process.send_signal(signal.SIGCONT)
    assert said.code == 1
    assert "has not confirmed it within" in said.err and "anthropic/anthropic0 is paused" in said.out
    async with asyncio.timeout(20):
        while await who(proxy) != "anthropic1":
            await asyncio.sleep(0.1)


async def test_a_change_of_the_cli_shows_in_the_log_of_no_client(fake: FakeProvider, launch: Launch) -> None:
    """Looking and commanding go through the store: nobody knocks at the proxy's port."""
    proxy = await known(await launch(config(*accounts_of(fake, "anthropic", 2))))
    await asyncio.sleep(0.1)
    before = proxy.output.count("client connect")
    for words in (("status",), ("pause", "anthropic0"), ("resume", "anthropic0"), ("inspect", "anthropic")):
        assert (await cli(proxy, *words)).code == 0
    assert proxy.output.count("client connect") == before


@pytest.mark.parametrize("verb", ["pause", "drain"])
async def test_a_socket_that_is_open_obeys_with_its_next_question(
    fake: FakeProvider, launch: Launch, verb: str
) -> None:
    """Codex asks everything over one socket: without this it would stay on a paused account for hours."""
    proxy = await known(await launch(config(*accounts_of(fake, "openai", 2))))
    async with Socket.open(proxy, session="s1") as socket:
        assert told(socket.answer) == ("openai0", 1)
        await socket.send(TextMessage(data=CREATE))
        assert "response.completed" in said_in(await socket.events("response.completed"))[-1]

        await obeyed(proxy, verb, "openai0")
        await socket.send(TextMessage(data=CREATE))
        if verb == "drain":  # which lets a session end where it is
            assert "response.completed" in said_in(await socket.events("response.completed"))[-1]
            return
        assert close_code(await socket.events("response.created")) == 1012
    async with Socket.open(proxy, session="s1") as socket:
        assert told(socket.answer) == ("openai1", 1)
    assert [len(row.messages) for row in fake.ledger.of("openai0")] == [1], "the question never left"
