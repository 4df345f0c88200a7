"""Accounts of the store in a running proxy: changes are obeyed within a second, and what hangs on a name follows it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Launch
from e2e.harness import BIN, Proxy, account, bare_environment, config
from e2e.helpers import ANTHROPIC, told, until
from e2e.rawclient import ProxyRefusedError, RawAnswer
from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountSettings, Credential
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from mitm_balancer.testing import CA, FakeProvider, steps

KEYS = {alias: f"sk-ant-api03-CANARY-{alias}-0123456789" for alias in ("one", "two", "three")}

type Change = Callable[[AccountBook], Any]


@pytest.fixture
async def fake(fake_ca: CA) -> Any:
    async with FakeProvider({key: alias for alias, key in KEYS.items()}, ca=fake_ca) as provider:
        yield provider


def change(home: Path, work: Change) -> Any:
    """Another process would do it so."""
    home.mkdir(mode=0o700, exist_ok=True)
    store = Store.open(home)
    try:
        return work(AccountBook(store, Vault.open(home)))
    finally:
        store.close()


def put(home: Path, fake: FakeProvider, *aliases: str, key: str = "", **settings: Any) -> None:
    """Store these accounts, whose attempts go to the fake."""
    for alias in aliases:
        credential = Credential("api", Secret(key or KEYS[alias]))
        put_at = AccountSettings(base_url=fake.url, **settings)
        change(home, lambda b, a=alias, c=credential, s=put_at: b.save("anthropic", a, c, "add", s))


async def ask(proxy: Proxy, session: str = "") -> RawAnswer:
    """A request of this session, or of one of its own."""
    method, target, headers, body = ANTHROPIC.request(stream=False)
    headers.append(("x-claude-code-session-id", session or secrets.token_hex(8)))
    async with await proxy.dial(ANTHROPIC.host) as client:
        return await client.request(method, target, headers, body)


async def cli(proxy: Proxy, *words: str, code: int = 0) -> str:
    """`balancer accounts ...` as its user has it."""
    process = await asyncio.create_subprocess_exec(
        str(BIN / "balancer"), "--home", str(proxy.home), "--config", str(proxy.config_path), "accounts", *words,
        env=bare_environment(proxy.log.parent) | {"SSL_CERT_FILE": str(proxy.log.parent / "fake-ca.pem")},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == code, out.decode()
    return out.decode()


BUSY = 3.0
"""Seconds that a busy machine may add to the second of the contract."""


async def until_serves(proxy: Proxy, alias: str, limit: float = 1.0) -> None:
    """Within a second (contract) the next new session is served by this account."""
    deadline = time.monotonic() + limit + BUSY
    served = ""
    while served != alias:
        assert time.monotonic() < deadline, served
        await asyncio.sleep(0.05)
        with contextlib.suppress(ProxyRefusedError):  # nobody is left: tunnelled blind, and there is no network
            served = told(await ask(proxy))[0]


async def test_accounts_come_from_the_store_when_there_is_no_configuration(
    fake: FakeProvider, launch: Launch, tmp_path: Path
) -> None:
    put(tmp_path / "home", fake, "one", "two")
    fake.play("one", steps.rate_limited(retry_after=600))
    proxy = await launch(how="balancer")
    assert told(await ask(proxy)) == ("two", 2)


async def test_an_account_that_is_added_serves_within_a_second(
    fake: FakeProvider, launch: Launch, tmp_path: Path
) -> None:
    put(tmp_path / "home", fake, "one")
    proxy = await launch(config())
    fake.play("one", then=steps.rate_limited(retry_after=600))
    put(proxy.home, fake, "two")
    begun = time.monotonic()
    await until_serves(proxy, "two")
    assert time.monotonic() - begun < 1.0 + BUSY


async def test_use_moves_new_sessions_and_leaves_the_others(fake: FakeProvider, launch: Launch, tmp_path: Path) -> None:
    put(tmp_path / "home", fake, "one", "two")
    proxy = await launch(config())
    assert told(await ask(proxy, "old"))[0] == "one"
    await cli(proxy, "use", "two")
    assert told(await ask(proxy))[0] == "two"
    assert told(await ask(proxy, "old"))[0] == "one"
    await cli(proxy, "use", "one")
    assert told(await ask(proxy))[0] == "one"


async def test_a_choice_is_made_once_and_a_failover_moves_on(
    fake: FakeProvider, launch: Launch, tmp_path: Path
) -> None:
    """Any other change of the store must not bring the chosen account back to the front."""
    put(tmp_path / "home", fake, "one", "two")
    proxy = await launch(config())
    await cli(proxy, "use", "two")
    fake.play("two", steps.rate_limited(retry_after=1))
    assert told(await ask(proxy)) == ("one", 2)
    await asyncio.sleep(1.5)
    await cli(proxy, "add", "anthropic", code=1)
    put(proxy.home, fake, "three", priority=5)
    await asyncio.sleep(0.8)
    assert told(await ask(proxy)) == ("one", 1)
    # The same choice once more is one more choice.
    await cli(proxy, "use", "two")
    assert told(await ask(proxy)) == ("two", 1)


async def test_a_rename_takes_cooldown_and_sessions_along(fake: FakeProvider, launch: Launch, tmp_path: Path) -> None:
    put(tmp_path / "home", fake, "one", "two", "three")
    proxy = await launch(config())
    fake.play("one", steps.rate_limited(retry_after=600))
    assert told(await ask(proxy, "mine")) == ("two", 2)
    await cli(proxy, "rename", "one", "uno")
    await cli(proxy, "rename", "two", "dos")
    await cli(proxy, "use", "three")
    assert told(await ask(proxy))[0] == "three"
    assert told(await ask(proxy, "mine")) == ("dos", 1)
    await cli(proxy, "disable", "three")
    await cli(proxy, "disable", "dos")
    fake.play("one", then=steps.ok())
    # The one that is left still rests: it is not asked before its time.
    assert (await ask(proxy)).status in (429, 401)
    assert len(fake.ledger.of("one")) == 1


async def test_another_key_under_an_old_alias_serves_at_once(
    fake: FakeProvider, launch: Launch, tmp_path: Path
) -> None:
    put(tmp_path / "home", fake, "one", "two")
    proxy = await launch(config())
    fake.play("one", steps.rate_limited(retry_after=600))
    assert told(await ask(proxy)) == ("two", 2)
    put(proxy.home, fake, "one", key=KEYS["three"])
    await cli(proxy, "use", "one")
    assert told(await ask(proxy)) == ("one", 1)
    assert len(fake.ledger.of("three")) == 1


async def test_a_removed_account_serves_no_more_and_leaves_nothing(
    fake: FakeProvider, launch: Launch, tmp_path: Path
) -> None:
    put(tmp_path / "home", fake, "one", "two")
    proxy = await launch(config())
    fake.play("one", steps.rate_limited(retry_after=600))
    assert told(await ask(proxy, "mine")) == ("two", 2)
    await cli(proxy, "remove", "two", "--yes")
    await cli(proxy, "remove", "one", "--yes")
    put(proxy.home, fake, "one")
    await until_serves(proxy, "one")
    assert told(await ask(proxy, "mine")) == ("one", 1)


async def test_a_lost_key_disables_the_stored_accounts_and_no_other(
    fake: FakeProvider, launch: Launch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    put(home, fake, "one")
    (home / "key").rename(tmp_path / "kept")
    proxy = await launch(config(account("anthropic", "declared", KEYS["two"], fake, priority=9)))
    assert told(await ask(proxy)) == ("declared", 1)
    rows = {row["name"]: row for row in json.loads(await cli(proxy, "list", "--json"))["accounts"]}
    assert rows["anthropic/one"]["state"] == "unusable"
    assert "add the account again" in rows["anthropic/one"]["problem"]
    assert rows["anthropic/declared"]["state"] == "ready"
    assert "anthropic/one cannot serve: the key that unseals it is gone" in proxy.output
    # The cure, while it runs.
    (tmp_path / "kept").rename(home / "key")
    with contextlib.closing(Store.open(home)) as store:
        await until(lambda: not (store.get_state("proxy") or {}).get("credential_problems"), "the cure")
    fake.play("two", then=steps.rate_limited(retry_after=600))
    assert told(await ask(proxy)) == ("one", 2)


async def test_the_greeting_counts_stored_accounts(fake: FakeProvider, launch: Launch, tmp_path: Path) -> None:
    put(tmp_path / "home", fake, "one", "two")
    proxy = await launch(how="balancer")
    await proxy.says("2: anthropic/one, anthropic/two")


async def test_a_bad_row_disables_itself_only(fake: FakeProvider, launch: Launch, tmp_path: Path) -> None:
    put(tmp_path / "home", fake, "one", "two")
    store = Store.open(tmp_path / "home")
    store.transact(lambda c: c.execute("UPDATE accounts SET sealed = x'0102' WHERE alias = 'one'"))
    store.close()
    proxy = await launch(config())
    assert told(await ask(proxy)) == ("two", 1)


async def test_test_asks_the_provider_for_free(fake: FakeProvider, launch: Launch, tmp_path: Path, fake_ca: CA) -> None:
    (tmp_path / "fake-ca.pem").write_bytes(Path(fake_ca.cert_path).read_bytes())
    put(tmp_path / "home", fake, "one", "two")
    put(tmp_path / "home", fake, "three", key="sk-ant-api03-nobody-knows-it")
    proxy = await launch(config())
    out = json.loads(await cli(proxy, "test", "--json", code=1))
    assert {row["account"]: row["result"] for row in out["accounts"]} == {
        "anthropic/one": "ok", "anthropic/two": "ok", "anthropic/three": "refused",
    }  # fmt: skip
    assert {entry.target for entry in fake.ledger} == {"/v1/models?limit=1"}
    await cli(proxy, "test", "one")


async def test_no_key_lies_anywhere_in_the_clear(fake: FakeProvider, launch: Launch, tmp_path: Path) -> None:
    """P7: database, WAL, backup, logs, and what the CLI prints."""
    put(tmp_path / "home", fake, "one", "two")
    fake.play("one", steps.rate_limited(retry_after=600))
    proxy = await launch(config())
    assert told(await ask(proxy)) == ("two", 2)
    said = await cli(proxy, "list") + await cli(proxy, "list", "--json") + await cli(proxy, "use", "two")
    assert "CANARY" not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"balancer.sqlite", "balancer.sqlite-wal", "balancer.sqlite.bak"} <= {path.name for path in files}
    for path in files:
        assert b"CANARY" not in path.read_bytes(), path


async def test_a_damaged_store_fails_no_traffic_and_loses_no_account(
    fake: FakeProvider, launch: Launch, tmp_path: Path
) -> None:
    """P9: the file is overwritten while the proxy works; then somebody changes an account."""
    put(tmp_path / "home", fake, "one", "two")
    proxy = await launch(config())
    assert told(await ask(proxy))[0] == "one"
    database = proxy.home / "balancer.sqlite"
    for path in proxy.home.glob("balancer.sqlite*"):
        if path.name in ("balancer.sqlite", "balancer.sqlite-wal", "balancer.sqlite-shm"):
            path.write_bytes(b"no database any more\n" * 1000)
    for _ in range(4):
        assert told(await ask(proxy)) == ("one", 1)
        await asyncio.sleep(0.3)
    await cli(proxy, "use", "two")
    assert told(await ask(proxy)) == ("two", 1)
    assert database.read_bytes().startswith(b"SQLite format 3")
    assert "was damaged" in proxy.output or list(proxy.home.glob("*.corrupt*"))


async def test_a_list_tells_when_an_account_was_used(fake: FakeProvider, launch: Launch, tmp_path: Path) -> None:
    put(tmp_path / "home", fake, "one", "two")
    proxy = await launch(config())
    await ask(proxy)
    deadline = time.monotonic() + 20
    while not (
        used := {r["alias"]: r["last_used_at"] for r in json.loads(await cli(proxy, "list", "--json"))["accounts"]}
    )["one"]:
        assert time.monotonic() < deadline
    assert used["one"] == pytest.approx(time.time(), abs=10)
    assert used["two"] is None


async def test_two_proxies_of_one_home_leave_each_other_alone(
    fake: FakeProvider, launch: Launch, tmp_path: Path
) -> None:
    """What one writes wakes the other; it must not write in turn."""
    put(tmp_path / "home", fake, "one")
    proxy = await launch(config())
    await launch(config())
    await asyncio.sleep(2)
    store = Store.open(proxy.home)
    try:
        writes = 0
        for _ in range(12):
            writes += store.changed()
            await asyncio.sleep(0.25)
    finally:
        store.close()
    # A heartbeat of each every five seconds, and little else.
    assert writes <= 5
    await cli(proxy, "use", "one")
