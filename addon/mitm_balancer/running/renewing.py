"""The logins of a running proxy: between the refresher, the stored accounts, and the calls that need a credential."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.oauth.memory import renewable
from mitm_balancer.accounts.oauth.outcome import Fresh, NeedsLogin, NotNow, Renewal
from mitm_balancer.accounts.oauth.refresher import Refresher, Tell
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.running.stored_accounts import StoredAccounts
from mitm_balancer.upstream.base import Upstream

FINISH = 5.0
"""Seconds that the proxy stays for a renewal when it is told to stop: a token endpoint takes some tenths."""


class Renewals:
    """Implements `proxy.logins.Logins`. Without a store there are no stored accounts, and nothing to renew."""

    def __init__(
        self,
        stored: StoredAccounts,
        upstream: Upstream,
        heard: Callable[[], Coroutine[Any, Any, None]],
        allowed: Callable[[], bool],
        tell: Tell,
    ) -> None:
        """`heard` reads the stored accounts again; `allowed` tells whether credentials may be sent at all."""
        self._stored, self._heard = stored, heard
        self._refused: dict[str, int] = {}
        """Account -> generation of an access token that was refused although its clock has not ended it."""
        self._told: frozenset[str] = frozenset()
        self.refresher: Refresher | None = None
        if stored.store is not None and stored.book is not None:
            self.refresher = Refresher(
                stored.book, stored.store, upstream, stored.home, spawn, heard, allowed=allowed, tell=tell
            )  # fmt: skip
            stored.newest = self.refresher.keeper.newest
            stored.judge = self.problem

    # -- for calls ----------------------------------------------------------------------------------------------

    def expired(self, name: str) -> bool:
        """See `Logins.expired`."""
        account = self._find(name)
        return account is not None and self._ended(account)

    async def renew(self, name: str, sent: str) -> Renewal:
        """See `Logins.renew`."""
        account = self._find(name)
        if account is None or account.credential is None or self.refresher is None:
            return NotNow("there is nothing to renew it with")
        if account.credential.secret.reveal() != sent:
            return Fresh(account)
        result = await self.refresher.renew(account)
        if isinstance(result, NeedsLogin) or (isinstance(result, NotNow) and result.wait is not None):
            await self._refuse(account)
        return result

    # -- for the app --------------------------------------------------------------------------------------------

    def renewable(self, name: str) -> bool:
        """Whether this stored account's login renews itself."""
        account = self._find(name)
        return account is not None and self.refresher is not None and renewable(account)

    def problem(self, account: StoredAccount) -> str:
        """Why a stored account cannot serve although it has a credential: its login is over, and so is what it gave."""
        if self.refresher is None or (over := self.refresher.memory.over(account)) is None:
            return ""
        return str(over) if self._ended(account) else ""

    async def tick(self, at_rest: Callable[[StoredAccount], bool]) -> None:
        """Renew what is due, but not for accounts `at_rest`; notice what has ended. Called every second or so."""
        if self.refresher is None:
            return
        self.refresher.look_after(account for account in self._stored.accounts if not at_rest(account))
        now = frozenset(account.id for account in self._stored.accounts if self.problem(account))
        if now != self._told:
            self._told = now
            await self._heard()

    @property
    def under_way(self) -> bool:
        """Whether a renewal runs."""
        return self.refresher is not None and self.refresher.busy

    async def finish(self) -> None:
        """Wait for it: an answer that nobody reads would cost a login."""
        if self.refresher is not None:
            await self.refresher.finish(FINISH)

    def _ended(self, account: StoredAccount) -> bool:
        refused = self._refused.get(account.id) == account.generation
        return refused or (self.refresher is not None and self.refresher.memory.expired(account))

    async def _refuse(self, account: StoredAccount) -> None:
        """Its access token is not worth sending any more. When its login is over as well, everybody is to know."""
        told = self.problem(account)
        self._refused[account.id] = account.generation
        if self.problem(account) != told:
            await self._heard()

    def _find(self, name: str) -> StoredAccount | None:
        return self._stored.by_name.get(name)
