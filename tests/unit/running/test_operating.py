"""The operator's hand on a running proxy: what is read from the store never takes back what was just commanded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mitm_balancer import operations
from mitm_balancer.app import App, compose
from mitm_balancer.core.health import Cooldown
from mitm_balancer.core.verdict import Verdict
from mitm_balancer.proxy.addon import Settings
from mitm_balancer.running.config_file import ConfigFile
from mitm_balancer.running.stored_accounts import Look
from mitm_balancer.store import Store
from mitm_balancer.store.asks import ask, replied

CONFIG = """\
version: 1
accounts:
- {provider: anthropic, alias: a, credential: x}
- {provider: anthropic, alias: b, credential: y}
"""


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    home = tmp_path / "home"
    home.mkdir(0o700)
    (home / "config.yaml").write_text(CONFIG)
    app = compose(Settings("", str(home)))
    assert app is not None
    yield app
    app.close()


@pytest.fixture
def other(app: App):
    """The store, as another process has it open."""
    assert app.store is not None
    store = Store.open(app.home)
    yield store
    store.close()


def state(app: App, name: str) -> str:
    return app.runtime.around.states.of(name, name.partition("/")[0])


async def test_a_command_holds_at_once_and_is_on_disk_soon(app: App, other: Store) -> None:
    operations.set_state(app.operator, "pause", "a")
    operations.switch(app.operator, on=False)
    assert state(app, "anthropic/a") == "paused"
    assert app.runtime.policy.failover is False
    async with asyncio.timeout(20):
        while not (other.account_flags() and other.settings()):
            await asyncio.sleep(0.01)
    assert other.account_flags() == {"anthropic/a": {"paused": True}}
    assert other.settings() == {"balancing": False}


async def test_what_others_write_is_taken(app: App, other: Store) -> None:
    assert other.set_account_flag("anthropic", "drained", True).result(5)
    assert other.set_setting("strategy", "headroom").result(5)
    await app.refresh_from_store()
    assert state(app, "anthropic/b") == "drained"
    assert app.effective.priority.strategy == "headroom"


async def test_a_command_while_the_store_is_read_is_not_lost(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is older than the command: it is read again."""
    look, loop = app.stored.look, asyncio.get_running_loop()
    looks = []

    def slow() -> object:
        found = look()
        looks.append(found)
        if len(looks) == 1:  # in a thread, after the flags were read
            done = asyncio.run_coroutine_threadsafe(_pause(app), loop)
            done.result(5)
        return found

    monkeypatch.setattr(app.stored, "look", slow)
    await app.refresh_from_store()
    assert len(looks) == 2
    assert state(app, "anthropic/a") == "paused"
    assert app.operator.flags() == {"anthropic/a": {"paused": True}}


async def _pause(app: App) -> None:
    operations.set_state(app.operator, "pause", "a")


async def test_an_ask_is_done_and_answered_once(app: App, other: Store) -> None:
    clock = app.runtime.clock()
    app.runtime.health.restore(Cooldown("anthropic/a", "", clock + 60, 60, "limit", Verdict.RATE_LIMITED))
    number = ask(other, "clear", {"names": ["anthropic/a", "anthropic/b"], "model": None})
    await app.operator.obey()
    assert replied(other, number) == {"cleared": ["anthropic/a"]}
    assert list(app.runtime.health.cooldowns(clock)) == []

    app.runtime.health.restore(Cooldown("anthropic/a", "", clock + 60, 60, "limit", Verdict.RATE_LIMITED))
    await app.operator.obey()
    assert list(app.runtime.health.cooldowns(clock)), "an ask is done once"


async def test_every_proxy_of_a_home_obeys(app: App, other: Store) -> None:
    """Each has cooldowns and a configuration in its own memory; the first answer is the command's."""
    file = ConfigFile(app.home, Settings("", str(app.home)))
    file.load()
    second = App(app.home, file)
    try:
        for one in (app, second):
            end = one.runtime.clock() + 60
            one.runtime.health.restore(Cooldown("anthropic/a", "", end, 60, "limit", Verdict.RATE_LIMITED))
        (app.home / "config.yaml").write_text("version: 1\naccounts: [{provider: anthropic, alias: c, credential: x}]")
        clear = ask(other, "clear", {"names": ["anthropic/a"], "model": None})
        reload = ask(other, "reload", {})
        for one in (app, second, app, second):
            await one.operator.obey()
        async with asyncio.timeout(5):
            while not all(spec.name == "anthropic/c" for one in (app, second) for spec in one.effective.accounts):
                await asyncio.sleep(0.01)
            while replied(other, reload) is None:
                await asyncio.sleep(0.01)
        for one in (app, second):
            assert list(one.runtime.health.cooldowns(one.runtime.clock())) == []
            assert [spec.name for spec in one.effective.accounts] == ["anthropic/c"]
        assert replied(other, clear) == {"cleared": ["anthropic/a"]}
        assert replied(other, reload) == {"problems": [], "accounts": 1}

        second.runtime.health.restore(
            Cooldown("anthropic/a", "", second.runtime.clock() + 60, 60, "limit", Verdict.RATE_LIMITED)
        )
        await second.operator.obey()
        assert list(second.runtime.health.cooldowns(second.runtime.clock())), "by each once"
    finally:
        second.close()


async def test_an_ask_of_before_this_process_is_none_of_ours(app: App, other: Store) -> None:
    number = ask(other, "obey", {})
    other.transact(lambda connection: connection.execute("UPDATE asks SET at = ?", (time.time() - 3600,)))
    await app.operator.obey()
    assert replied(other, number) is None


async def test_an_ask_is_obeyed_although_the_clock_was_set_back(app: App, other: Store) -> None:
    number = ask(other, "obey", {})
    other.transact(lambda connection: connection.execute("UPDATE asks SET at = ?", (time.time() - 30,)))
    await app.operator.obey()
    assert replied(other, number) == {}


async def test_a_slow_credential_keeps_no_command_waiting(
    app: App, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one of a changed file nor one of `balancer reload`."""
    monkeypatch.setattr("mitm_balancer.app.WATCH_INTERVAL", 0.01)
    await app.start()
    slow = "{command: \"sh -c 'sleep 3; echo one'\"}"
    (app.home / "config.yaml").write_text(
        f"version: 1\naccounts: [{{provider: anthropic, alias: a, credential: {slow}}}]"
    )
    async with asyncio.timeout(2):
        while len(app.effective.accounts) == 2:
            await asyncio.sleep(0.01)
        ask(other, "reload", {})
        number = ask(other, "obey", {})
        assert other.set_account_flag("anthropic/a", "paused", True).result(5)
        while state(app, "anthropic/a") != "paused" or replied(other, number) is None:
            await asyncio.sleep(0.01)


async def test_a_reload_forgives_refused_credentials_and_nothing_else(app: App) -> None:
    clock = app.runtime.clock()
    for name, verdict in (("anthropic/a", Verdict.AUTH_FAILURE), ("anthropic/b", Verdict.QUOTA_EXHAUSTED)):
        app.runtime.health.restore(Cooldown(name, "", clock + 60, 60, "why", verdict))
    (app.home / "config.yaml").write_text("accounts: 7")
    assert await app.operator.reload()
    assert len(list(app.runtime.health.cooldowns(clock))) == 2, "a configuration with a mistake forgives nobody"

    (app.home / "config.yaml").write_text("version: 1\naccounts: [{provider: anthropic, alias: a, credential: x}]")
    assert await app.operator.reload() == ()
    assert [c.verdict for c in app.runtime.health.cooldowns(clock)] == [Verdict.QUOTA_EXHAUSTED]


async def test_what_fails_once_does_not_end_the_watching(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, calls = app.stored.changed, []

    def fails() -> bool:
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("out of order")
        return real()

    monkeypatch.setattr(app.stored, "changed", fails)
    monkeypatch.setattr("mitm_balancer.app.WATCH_INTERVAL", 0.01)
    await app.start()
    (app.home / "config.yaml").write_text("version: 1\naccounts: [{provider: anthropic, alias: c, credential: x}]")
    async with asyncio.timeout(20):
        while "anthropic" not in app.runtime.pools or "anthropic/c" not in app.runtime.pools["anthropic"].accounts:
            await asyncio.sleep(0.01)
        while len(calls) < 3:
            await asyncio.sleep(0.01)
    assert caplog.text.count("a look at what has changed failed") == 1, "once, not twice a second"


async def test_two_reloads_at_once_end_with_what_the_file_says(app: App) -> None:
    """The first one's credential takes its time: what it read is older when it is there."""
    slow = "{command: \"sh -c 'sleep 0.3; echo one'\"}"
    text = "version: 1\naccounts: [{provider: anthropic, alias: a, credential: %s}]"
    (app.home / "config.yaml").write_text(text % slow)
    first = asyncio.ensure_future(app.reload())
    await asyncio.sleep(0.1)
    (app.home / "config.yaml").write_text(text % "two-two")
    await app.reload()
    await first
    carrier = app.runtime.pools["anthropic"].accounts["anthropic/a"].carrier
    assert carrier is not None
    assert carrier.credential == "two-two"


async def test_a_change_that_could_not_be_read_is_obeyed_later(
    app: App, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the store has changed is told once."""
    real, calls = app.stored.look, []

    def fails() -> Look:
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("out of order")
        return real()

    monkeypatch.setattr(app.stored, "look", fails)
    monkeypatch.setattr("mitm_balancer.app.WATCH_INTERVAL", 0.01)
    await app.start()
    assert other.set_account_flag("anthropic/a", "paused", True).result(5)
    async with asyncio.timeout(20):
        while state(app, "anthropic/a") != "paused":
            await asyncio.sleep(0.01)
    assert len(calls) >= 3
