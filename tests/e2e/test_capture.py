"""What the proxy learns from the logins of agents: every byte passes as it came, whatever becomes of the copy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.connectproxy import connect_proxy
from e2e.harness import Proxy, config, start_proxy
from e2e.helpers import until
from e2e.rawclient import RawAnswer
from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from mitm_balancer.testing import CA, FakeProvider, steps

API, LOGIN = "api.anthropic.com", "platform.claude.com"
OLD, NEW = "sk-ant-oat01-CANARY-old-aaaaaaaaaaaaaaa", "sk-ant-oat01-CANARY-new-bbbbbbbbbbbbbbb"
FIRST, SECOND = "sk-ant-ort01-CANARY-first-cccccccccc", "sk-ant-ort01-CANARY-second-ddddddddd"
KEY = "sk-ant-api03-CANARY-key-eeeeeeeeeeeeeeeee"
WHO = {"account": {"uuid": "uuid-1", "email_address": "ann@example.com"}, "organization": {"uuid": "org-1"}}
IDENTITY = {"account_uuid": "uuid-1", "org": "org-1"}
PAIR = {"token_type": "Bearer", "access_token": NEW, "refresh_token": SECOND, "expires_in": 28800, **WHO}
TURN = b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
JSON = ("content-type", "application/json")


@pytest.fixture(autouse=True)
def key_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy and the test open the same vault, also where there is a keyring."""
    monkeypatch.setenv("BALANCER_VAULT", "file")


@dataclass(slots=True)
class Ground:
    """A proxy whose whole outside world is the fake provider."""

    proxy: Proxy
    fake: FakeProvider

    def books[T](self, work: Callable[[AccountBook, Store], T]) -> T:
        """As the command line does it: another process's view of the home."""
        store = Store.open(self.proxy.home)
        try:
            return work(AccountBook(store, Vault.open(self.proxy.home)), store)
        finally:
            store.close()

    async def until(self, holds: Callable[[AccountBook], bool]) -> None:
        deadline = time.monotonic() + 20
        while not self.books(lambda book, _: holds(book)):
            assert time.monotonic() < deadline, self.proxy.output
            await asyncio.sleep(0.1)

    async def intercepts(self, host: str) -> bool:
        """Whether the certificate of that host is the proxy's own."""
        try:
            async with await self.proxy.dial(host):
                return True
        except ssl.SSLError:
            return False

    async def becomes_intercepted(self, host: str) -> None:
        deadline = time.monotonic() + 20
        while not await self.intercepts(host):
            assert time.monotonic() < deadline, self.proxy.output
            await asyncio.sleep(0.1)

    async def turn(self, credential: str) -> RawAnswer:
        carrier = ("authorization", f"Bearer {credential}") if "-oat" in credential else ("x-api-key", credential)
        async with await self.proxy.dial(API) as client:
            return await client.request("POST", "/v1/messages", [carrier, JSON], TURN)

    async def refresh(self, used: str, host: str = LOGIN) -> RawAnswer:
        asked = {"grant_type": "refresh_token", "refresh_token": used, "client_id": "9d1c"}
        async with await self.proxy.dial(host) as client:
            return await client.request("POST", "/v1/oauth/token", [JSON], json.dumps(asked).encode())

    async def log_in(self) -> RawAnswer:
        asked = {"grant_type": "authorization_code", "code": "c", "client_id": "9d1c", "code_verifier": "v"}
        async with await self.proxy.dial(LOGIN) as client:
            return await client.request("POST", "/v1/oauth/token", [JSON], json.dumps(asked).encode())

    def seen(self) -> list[tuple[str, str]]:
        return [(record.target, record.label) for record in self.fake.ledger]


@contextlib.asynccontextmanager
async def ground(tmp_path: Path, ca: CA, *accounts: Credential, answer: dict[str, Any] = PAIR) -> AsyncIterator[Ground]:
    labels = {OLD: "old", NEW: "new", KEY: "key"}
    async with (
        FakeProvider(labels, ca=ca, names=(API, LOGIN, "example.com", "127.0.0.1")) as fake,
        connect_proxy(to=fake.port) as outside,
    ):
        fake.route("POST", "/v1/oauth/token", steps.status(200, json.dumps(answer)))
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        store = Store.open(home)
        book = AccountBook(store, Vault.open(home))
        for number, credential in enumerate(accounts):
            book.save("anthropic", f"a{number}", credential, "add")
        store.close()
        mode = ["--set", f"mode=upstream:{outside.url}"]
        async with start_proxy(tmp_path, config(), fake=fake, args=mode, env={"BALANCER_VAULT": "file"}) as proxy:
            yield Ground(proxy, fake)
            assert "CANARY" not in proxy.output
            assert "Traceback" not in proxy.output


def window(minutes: float) -> Callable[[AccountBook, Store], None]:
    return lambda _, store: store.set_setting("capture", {"until": time.time() + 60 * minutes})


def login(*, refresh: str | None = FIRST, **identity: str) -> Credential:
    ends = time.time() + 7200
    return Credential("oauth", Secret(OLD), None if refresh is None else Secret(refresh), ends, identity or IDENTITY)


async def test_nothing_is_intercepted_for_a_login_that_is_nobodys_account(tmp_path: Path, fake_ca: CA) -> None:
    async with ground(tmp_path, fake_ca, Credential("api", Secret(KEY))) as at:
        assert await at.intercepts(API)
        assert not await at.intercepts(LOGIN)


async def test_an_account_follows_its_agent(tmp_path: Path, fake_ca: CA) -> None:
    """The agent renews a login that is an account's, too: it gets its answer, and the account goes on with the pair."""
    async with ground(tmp_path, fake_ca, login()) as at:
        assert not await at.intercepts("example.com")
        answer = await at.refresh(FIRST)
        assert (answer.status, answer.json()) == (200, PAIR)
        await at.until(lambda book: book.all()[0].generation == 2)
        credential = at.books(lambda book, _: book.all()[0]).credential
        assert credential is not None
        assert (credential.secret.reveal(), credential.refresh and credential.refresh.reveal()) == (NEW, SECOND)
        assert credential.identity["account_uuid"] == "uuid-1"
        assert (await at.turn(OLD)).header("x-balancer") is not None
        assert at.seen()[-1] == ("/v1/messages", "new")


async def test_an_account_without_a_refresh_token_of_its_own_follows_too(tmp_path: Path, fake_ca: CA) -> None:
    """`--access-only`: the refresh token stays the agent's."""
    async with ground(tmp_path, fake_ca, login(refresh=None)) as at:
        await at.refresh(FIRST)
        await at.until(lambda book: book.all()[0].generation == 2)
        credential = at.books(lambda book, _: book.all()[0]).credential
        assert credential is not None
        assert (credential.secret.reveal(), credential.refresh) == (NEW, None)


async def test_the_login_of_somebody_else_changes_no_account(tmp_path: Path, fake_ca: CA) -> None:
    async with ground(tmp_path, fake_ca, login(refresh=None, account_uuid="uuid-2", org="org-1")) as at:
        assert (await at.refresh(FIRST)).json() == PAIR
        await asyncio.sleep(1)
        assert at.books(lambda book, _: (book.all()[0].generation, book.pending())) == (1, [])


async def test_the_window_opens_and_closes(tmp_path: Path, fake_ca: CA) -> None:
    """Without any account: hosts are intercepted while it is open, and only then."""
    async with ground(tmp_path, fake_ca) as at:
        assert not await at.intercepts(API)
        at.books(window(5))
        await at.becomes_intercepted(LOGIN)
        assert await at.intercepts(API)
        assert not await at.intercepts("example.com")
        at.books(window(-1))
        deadline = time.monotonic() + 20
        while await at.intercepts(API):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def test_a_window_that_ends_by_itself_is_told_once(tmp_path: Path, fake_ca: CA) -> None:
    """In the log and as an event; one that the operator closes is told by the command."""
    async with ground(tmp_path, fake_ca) as at:
        at.books(window(5))
        await at.becomes_intercepted(API)
        at.books(window(0))
        while await at.intercepts(API):
            await asyncio.sleep(0.1)
        at.books(window(0.03))
        await at.becomes_intercepted(API)
        await at.proxy.says("the window of capture has ended", timeout=20)
        assert not await at.intercepts(API)

        def ends(store: Store) -> int:
            return [event.type for event in store.events()].count("capture_ended")

        await until(lambda: at.books(lambda _, store: ends(store)), "the event")
        await asyncio.sleep(1)
        assert at.books(lambda _, store: ends(store)) == 1
        assert at.proxy.output.count("the window of capture has ended") == 1


async def test_a_key_that_the_provider_takes_becomes_pending_once(tmp_path: Path, fake_ca: CA) -> None:
    async with ground(tmp_path, fake_ca) as at:
        at.books(window(5))
        await at.becomes_intercepted(API)
        for _ in range(3):
            answer = await at.turn(KEY)
            assert (answer.status, answer.header("x-balancer")) == (200, None)
        assert at.seen() == [("/v1/messages", "key")] * 3  # the agent's own credential, untouched
        await at.until(lambda book: len(book.pending()) == 1)
        pending = at.books(lambda book, _: book.pending()[0])
        assert pending.credential is not None
        assert (pending.provider, pending.credential.secret.reveal()) == ("anthropic", KEY)
        assert f"balancer accounts accept {pending.id}" in at.proxy.output
        saved = at.books(lambda book, _: book.accept(pending.id, "mine"))
        deadline = time.monotonic() + 20
        while (await at.turn("sk-ant-other-CANARY-key-fffffffff")).header("x-balancer") is None:
            assert time.monotonic() < deadline
        assert saved.name == "anthropic/mine"
        assert at.seen()[-1] == ("/v1/messages", "key")


async def test_a_key_that_the_provider_refuses_is_none(tmp_path: Path, fake_ca: CA) -> None:
    async with ground(tmp_path, fake_ca) as at:
        at.books(window(5))
        await at.becomes_intercepted(API)
        at.fake.play("key", steps.unauthorized())
        assert (await at.turn(KEY)).status == 401
        await asyncio.sleep(0.5)
        assert at.books(lambda book, _: book.pending()) == []


async def test_nothing_is_kept_while_the_window_is_closed(tmp_path: Path, fake_ca: CA) -> None:
    """Neither of what an account serves, nor of what goes its own way because every account is paused."""
    async with ground(tmp_path, fake_ca, Credential("api", Secret(OLD.replace("oat", "api")))) as at:
        assert (await at.turn(KEY)).header("x-balancer") is not None
        at.books(lambda _, store: store.set_account_flag("anthropic/a0", "paused", True).result(5))
        deadline = time.monotonic() + 20
        while "account=client" not in ((await at.turn(KEY)).header("x-balancer") or ""):
            assert time.monotonic() < deadline
        await asyncio.sleep(0.5)
        assert at.books(lambda book, _: book.pending()) == []


async def test_a_dismissed_one_is_not_asked_about_again(tmp_path: Path, fake_ca: CA) -> None:
    async with ground(tmp_path, fake_ca) as at:
        at.books(window(5))
        await at.becomes_intercepted(API)
        await at.turn(KEY)
        await at.until(lambda book: len(book.pending()) == 1)
        at.books(lambda book, _: book.dismiss(book.pending()[0].id))
        at.books(window(-1))
        await asyncio.sleep(1.2)  # what it remembers of the window is forgotten with it
        at.books(window(5))
        await at.becomes_intercepted(API)
        await at.turn(KEY)
        await asyncio.sleep(1)
        assert at.books(lambda book, _: book.pending()) == []
        for file in at.proxy.home.iterdir():
            assert KEY.encode() not in file.read_bytes()


async def test_a_login_in_the_window_becomes_pending(tmp_path: Path, fake_ca: CA) -> None:
    async with ground(tmp_path, fake_ca) as at:
        at.books(window(5))
        await at.becomes_intercepted(LOGIN)
        assert (await at.log_in()).json() == PAIR
        await at.until(lambda book: len(book.pending()) == 1)
        credential = at.books(lambda book, _: book.pending()[0]).credential
        assert credential is not None
        assert credential.refresh == Secret(SECOND)
        assert credential.identity["email"] == "ann@example.com"
        assert credential.expires_at is not None
        await at.turn(NEW)  # the same login, seen in use
        await asyncio.sleep(1)
        (pending,) = at.books(lambda book, _: book.pending())
        assert pending.credential is not None
        assert pending.credential.refresh == Secret(SECOND)  # seen in use, it is still a whole login
        assert at.proxy.output.count("is no account yet") == 1


async def test_a_login_passes_while_the_store_is_locked(tmp_path: Path, fake_ca: CA) -> None:
    """Whatever capture cannot do is told, and the agent has its login at once."""
    async with ground(tmp_path, fake_ca, login()) as at:
        connection = sqlite3.connect(at.proxy.home / "balancer.sqlite", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        try:
            begun = time.monotonic()
            assert (await at.refresh(FIRST)).json() == PAIR
            assert time.monotonic() - begun < 2
            await at.proxy.says("unheard", timeout=30)
        finally:
            connection.rollback()
            connection.close()


async def test_an_answer_that_is_no_pair_passes(tmp_path: Path, fake_ca: CA) -> None:
    async with ground(tmp_path, fake_ca, login(), answer={"access_token": {"odd": 1}}) as at:
        assert (await at.refresh(FIRST)).json() == {"access_token": {"odd": 1}}
        await asyncio.sleep(0.5)
        assert at.books(lambda book, _: book.all()[0].generation) == 1
