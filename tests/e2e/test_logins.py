"""A login that has ended renews itself, and the agent sees nothing of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from wsproto.events import CloseConnection, TextMessage

from e2e.conftest import Launch
from e2e.harness import BIN, Proxy, account, bare_environment, config, start_proxy
from e2e.helpers import ANTHROPIC, AnyAnswer, told
from e2e.test_websocket import CREATE, Socket
from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountSettings, Credential, StoredAccount
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from mitm_balancer.testing import CA, ErrorKind, FakeProvider, steps
from mitm_balancer.testing.tokens import Mishap, TokenEndpoint

FILE_VAULT = {"BALANCER_VAULT": "file"}


@pytest.fixture
def tokens(fake: FakeProvider) -> TokenEndpoint:
    return TokenEndpoint(fake)


class Stored:
    """The home of the proxy to come, as the CLI would fill it."""

    def __init__(self, home: Path, fake: FakeProvider, tokens: TokenEndpoint) -> None:
        home.mkdir(mode=0o700, exist_ok=True)
        self.fake, self.tokens = fake, tokens
        self.store = Store.open(home)
        self.book = AccountBook(self.store, Vault.open(home))

    def add(self, alias: str, provider: str = "anthropic", *, life: float = 3600.0, age: float = 0.0) -> StoredAccount:
        """A login that ends in `life` seconds and was given `age` seconds ago."""
        given = self.tokens.login(alias)
        credential = Credential(
            "oauth", Secret(given.access), Secret(given.refresh), time.time() + life,
            extra={"token_url": self.tokens.url},
        )  # fmt: skip
        priority = len(self.book.all())
        settings = AccountSettings(base_url=self.fake.url, priority=priority)
        saved = self.book.save(provider, alias, credential, "login", settings)
        self.store.transact(lambda db: db.execute("UPDATE accounts SET updated_at = updated_at - ?", (age,)))
        return saved

    def refresh_token(self, name: str) -> str:
        found = self.book.find(name)
        assert found is not None
        assert found.credential is not None
        assert found.credential.refresh is not None
        return found.credential.refresh.reveal()

    def generation(self, name: str) -> int:
        found = self.book.find(name)
        assert found is not None
        return found.generation


@pytest.fixture
def stored(
    tmp_path: Path, fake: FakeProvider, tokens: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stored]:
    monkeypatch.setenv("BALANCER_VAULT", "file")
    found = Stored(tmp_path / "home", fake, tokens)
    yield found
    found.store.close()


async def _ask(proxy: Proxy, **fields: Any) -> AnyAnswer:
    async with await proxy.dial(ANTHROPIC.host) as client:
        return await client.request(*ANTHROPIC.request(stream=True, **fields))


async def _until(condition: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def _balancer(proxy: Proxy, *words: str) -> str:
    environment = bare_environment(proxy.home.parent) | FILE_VAULT
    environment |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    command = [str(BIN / "balancer"), "--home", str(proxy.home), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30).stdout


def _problem(proxy: Proxy, name: str) -> str:
    """Why the status says that this account has nothing to send."""
    accounts = json.loads(_balancer(proxy, "status", "--json"))["accounts"]
    return str(next(account for account in accounts if account["name"] == name)["problem"])


async def test_a_refused_token_is_renewed_and_the_client_sees_nothing(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    stored.add("work")
    proxy = await launch(config(), env=FILE_VAULT)
    tokens.end_access("work")
    answer = await _ask(proxy, test_id="one")
    assert (answer.status, told(answer)) == (200, ("work", 2))
    assert fake.ledger.accepted() == {"one": 1}
    assert tokens.refreshes == ["work"]
    assert told(await _ask(proxy)) == ("work", 1)
    await _until(lambda: "work" in _balancer(proxy, "why", "last"))
    assert "CANARY" not in proxy.output + _balancer(proxy, "why", "last")
    assert not [path for path in proxy.home.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()]


async def test_a_token_that_has_ended_is_renewed_before_it_is_sent(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    """The proxy renews what has ended as soon as it starts; a request that comes first waits for it."""
    stored.add("work", life=-5.0)
    tokens.end_access("work")
    tokens.play(Mishap.SLOW)
    proxy = await launch(config(), env=FILE_VAULT)
    assert told(await _ask(proxy)) == ("work", 1)
    assert tokens.refreshes == ["work"]


async def test_an_agent_in_parallel_causes_one_refresh(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    stored.add("work")
    proxy = await launch(config(), env=FILE_VAULT)
    tokens.end_access("work")
    answers = await asyncio.gather(*(_ask(proxy) for _ in range(12)))
    assert {answer.status for answer in answers} == {200}
    assert {told(answer)[0] for answer in answers} == {"work"}
    assert tokens.refreshes == ["work"]


async def test_a_dead_login_is_left_and_told_with_its_cure(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    stored.add("work")
    stored.add("spare")
    proxy = await launch(config(), env=FILE_VAULT)
    tokens.end_access("work")
    tokens.play(Mishap.INVALID)
    assert told(await _ask(proxy)) == ("spare", 2)
    await _until(lambda: "needs a login: invalid_grant" in _balancer(proxy, "why", "last"))
    assert told(await _ask(proxy)) == ("spare", 1)
    await _until(lambda: "balancer accounts login anthropic" in _problem(proxy, "anthropic/work"))
    # A new login brings it back, within a second.
    given = tokens.login("work")
    credential = Credential(
        "oauth", Secret(given.access), Secret(given.refresh), time.time() + 3600, extra={"token_url": tokens.url}
    )
    stored.book.renew("anthropic/work", credential, generation=stored.generation("anthropic/work"))
    await _until(lambda: not _problem(proxy, "anthropic/work"))
    fake.play("spare", then=steps.rate_limited(retry_after=600))
    assert told(await _ask(proxy))[0] == "work"


async def test_a_dead_login_serves_as_long_as_its_access_token_does(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    """It is due at the start, and the refresh says that the login is over; the token has some minutes left."""
    stored.add("work", life=200.0, age=3000.0)
    tokens.play(Mishap.INVALID)
    proxy = await launch(config(), env=FILE_VAULT)
    await proxy.says("needs a login")
    assert told(await _ask(proxy)) == ("work", 1)


async def test_nobody_waits_for_a_slow_renewal_when_another_account_can_serve(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    stored.add("work")
    stored.add("spare")
    proxy = await launch(config(), env=FILE_VAULT)
    tokens.end_access("work")
    tokens.play(Mishap.HANG)
    begun = time.monotonic()
    assert told(await _ask(proxy)) == ("spare", 2)
    assert time.monotonic() - begun < 6


async def test_a_token_endpoint_that_fails_once_costs_a_wait_and_nothing_else(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    stored.add("work")
    proxy = await launch(config(), env=FILE_VAULT)
    tokens.end_access("work")
    tokens.play(Mishap.ERROR)
    answer = await _ask(proxy)
    assert (answer.status, told(answer)[0]) == (200, "work")
    assert tokens.refreshes == ["work"]


async def test_what_is_due_is_renewed_without_any_request(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    stored.add("work", life=200.0, age=3000.0)
    await launch(config(), env=FILE_VAULT)
    await _until(lambda: tokens.refreshes == ["work"])
    await _until(lambda: stored.refresh_token("anthropic/work") == tokens.logins["work"].given.refresh)
    await asyncio.sleep(1.5)
    assert tokens.refreshes == ["work"]


async def test_a_test_of_an_account_renews_what_has_ended_first(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, fake_ca: CA
) -> None:
    """`accounts test` without a proxy: an ended token says nothing about the login. What is renewed is kept."""
    stored.add("work", life=-60.0)
    stored.add("over", life=-60.0)
    tokens.end_access("work")
    tokens.end_access("over")
    home = stored.store.path.parent
    environment = bare_environment(home.parent) | FILE_VAULT | {"SSL_CERT_FILE": str(fake_ca.cert_path)}
    command = [str(BIN / "balancer"), "--home", str(home), "accounts", "test", "--json"]

    def test(name: str) -> tuple[int, dict[str, str]]:
        done = subprocess.run(
            [*command, name], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert "CANARY" not in done.stdout + done.stderr
        (told,) = json.loads(done.stdout)["accounts"]
        return done.returncode, told

    code, told = await asyncio.to_thread(test, "work")
    assert (code, told["result"]) == (0, "ok"), told
    assert [record.label for record in fake.ledger if record.target.startswith("/v1/models")] == ["work"]
    assert stored.refresh_token("anthropic/work") == tokens.logins["work"].given.refresh
    tokens.play(Mishap.INVALID)
    code, told = await asyncio.to_thread(test, "over")
    assert (code, told["result"]) == (1, "unusable")
    assert "balancer accounts login anthropic" in told["detail"]


@contextlib.asynccontextmanager
async def _codex_socket(proxy: Proxy) -> AsyncIterator[Socket]:
    headers = [
        ("authorization", "Bearer CLIENT-OWN"), ("Connection", "Upgrade"), ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", base64.b64encode(b"0123456789abcdef").decode()),
    ]  # fmt: skip
    async with await proxy.dial("chatgpt.com") as client:
        await client.start("GET", "/backend-api/codex/responses", headers)
        yield Socket(client, await client.read_head())


async def test_a_websocket_handshake_that_is_refused_is_made_again(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    stored.add("work", "codex")
    proxy = await launch(config(), env=FILE_VAULT)
    tokens.end_access("work")
    async with _codex_socket(proxy) as socket:
        assert (socket.answer.status, told(socket.answer)) == (101, ("work", 2))
    assert tokens.refreshes == ["work"]


async def test_a_login_that_is_refused_inside_a_socket_is_renewed_and_the_client_comes_back(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    """The frame is kept back and the socket closed with 1012; the next handshake has the new token."""
    stored.add("work", "codex")
    fake.play("work", steps.error_first(ErrorKind.AUTH))
    proxy = await launch(config(), env=FILE_VAULT)
    async with _codex_socket(proxy) as socket:
        await socket.send(TextMessage(data=CREATE))
        events = await socket.events()
        assert [int(event.code) for event in events if isinstance(event, CloseConnection)] == [1012]
    await _until(lambda: tokens.refreshes == ["work"])
    async with _codex_socket(proxy) as socket:
        assert told(socket.answer) == ("work", 1)


async def test_the_only_login_is_over_and_the_agents_own_credential_goes_through(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    """P10, from the first such request on; without a credential of its own the agent is told the cure."""
    stored.add("work")
    proxy = await launch(config(), env=FILE_VAULT)
    tokens.end_access("work")
    tokens.play(Mishap.INVALID)
    method, target, headers, body = ANTHROPIC.request(stream=True)
    for _ in range(2):
        async with await proxy.dial(ANTHROPIC.host) as client:
            bare = [pair for pair in headers if pair != ANTHROPIC.credential]
            answer = await client.request(method, target, bare, body)
        assert answer.status == 503
        assert b"balancer accounts login anthropic" in answer.body
        assert b"authentication_error" not in answer.body


@pytest.mark.parametrize("how", ["balancer", "mitmdump"])
async def test_a_proxy_that_is_stopped_waits_for_a_renewal(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, tmp_path: Path, how: Any
) -> None:
    stored.add("work")
    async with start_proxy(tmp_path, config(), fake=fake, env=FILE_VAULT, how=how) as proxy:
        tokens.end_access("work")
        tokens.play(Mishap.SLOW)
        asking = asyncio.ensure_future(_ask(proxy))
        await _until(lambda: tokens.asked)
        await proxy.stop()
        await asyncio.gather(asking, return_exceptions=True)
    assert stored.refresh_token("anthropic/work") == tokens.logins["work"].given.refresh, proxy.output


async def test_a_declared_key_that_is_refused_is_left_as_before(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, launch: Launch
) -> None:
    stored.add("work")
    proxy = await launch(config(account("anthropic", "bad", "KEY-UNKNOWN", fake)), env=FILE_VAULT)
    assert told(await _ask(proxy)) == ("work", 2)
    assert tokens.refreshes == []


@pytest.mark.parametrize("after", [0.0, 0.3], ids=["at once", "while it is under way"])
async def test_a_kill_in_the_middle_of_a_renewal_uses_no_token_twice(
    stored: Stored, tokens: TokenEndpoint, fake: FakeProvider, tmp_path: Path, after: float
) -> None:
    """P8: whatever the moment, the next proxy either has the new pair, or does not send the old token again."""
    stored.add("work")
    async with start_proxy(tmp_path, config(), fake=fake, env=FILE_VAULT) as proxy:
        tokens.end_access("work")
        tokens.play(Mishap.SLOW)
        asking = asyncio.ensure_future(_ask(proxy))
        await _until(lambda: tokens.asked)
        await asyncio.sleep(after)
        await proxy.kill()
        await asyncio.gather(asking, return_exceptions=True)
    async with start_proxy(tmp_path, config(), fake=fake, env=FILE_VAULT) as proxy:
        await _ask(proxy)
        assert "needs a login" in proxy.output
    assert len(tokens.asked) == 1
    assert tokens.reuses == 0
