"""One process's parts, as the App puts them together; two of them on one home stand for two processes."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import Credential, StoredAccount
from mitm_balancer.accounts.oauth.outcome import Renewal
from mitm_balancer.accounts.oauth.refresher import Refresher
from mitm_balancer.accounts.oauth.service import TokenService
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from mitm_balancer.testing import FakeProvider
from mitm_balancer.testing.tokens import Given, TokenEndpoint
from mitm_balancer.upstream.pool import Pool


class World:
    """`now` is added to the wall clock, `later` to both clocks."""

    def __init__(self, fake: FakeProvider, home: Path, *, rng: random.Random, rotates: bool = True) -> None:
        self.fake, self.home = fake, home
        self.jump = 0.0
        self.passed = 0.0
        self.told = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        self.store = Store.open(home)
        self.book = AccountBook(self.store, Vault.open(home))
        self.pool = Pool()
        self.refresher = Refresher(
            self.book,
            self.store,
            self.pool,
            home,
            self._spawn,
            self._heard,
            wall=lambda: time.time() + self.jump + self.passed,
            clock=lambda: time.monotonic() + self.passed,
            rng=rng,
        )
        self.tokens = TokenEndpoint(fake, rotates=rotates)

    def add(self, alias: str = "work", provider: str = "anthropic", *, life: float = 3600.0) -> StoredAccount:
        """A stored account with a login of the endpoint, which ends in `life` seconds."""
        return self.book.save(provider, alias, self.credential(self.tokens.login(alias), life), "login")

    def credential(self, given: Given, life: float = 3600.0) -> Credential:
        return Credential(
            "oauth", Secret(given.access), Secret(given.refresh), time.time() + life,
            extra={"token_url": self.tokens.url},
        )  # fmt: skip

    async def renew(self, account: StoredAccount) -> Renewal:
        return await self.refresher.renew(account)

    def impatient(self) -> None:
        """A database that somebody else holds is waited for only for a moment."""
        with self.store._database.lock:
            self.store._database.connection().execute("PRAGMA busy_timeout = 50")

    async def asked(self) -> None:
        """The token endpoint has a request, which a slow one has not answered yet."""
        async with asyncio.timeout(20):
            while not self.tokens.asked:
                await asyncio.sleep(0.01)

    def stored(self, name: str = "anthropic/work") -> StoredAccount:
        found = self.book.find(name)
        assert found is not None
        return found

    def events(self) -> list[str]:
        """Types of the events so far."""
        self.store.transact(lambda connection: None)
        time.sleep(0.3)
        return [event.type for event in self.store.events()]

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.pool.aclose()
        self.store.close()

    def _spawn(self, coro: Any, name: str) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(coro)
        self.tasks.add(task)
        return task

    async def _heard(self) -> None:
        self.told += 1


def secret_of(account: StoredAccount) -> str:
    assert account.credential is not None
    return account.credential.secret.reveal()


def refresh_of(account: StoredAccount) -> str:
    assert account.credential is not None
    assert account.credential.refresh is not None
    return account.credential.refresh.reveal()


def service(**fields: Any) -> TokenService:
    return TokenService("anthropic", "https://token.example/x", client_id="client", **fields)
