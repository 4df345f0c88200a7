"""Where a new pair goes: to the disk before anybody uses it; and kept in memory as long as the disk fails (P8, P9)."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountError, Credential, StoredAccount
from mitm_balancer.accounts.oauth.service import TokenService
from mitm_balancer.accounts.oauth.uses import SPENT, Uses
from mitm_balancer.store import StoreError

logger = logging.getLogger(__name__)

PAUSES = (0.0, 0.1, 0.3, 1.0, 2.0)
"""Seconds before each try to store a new pair, while those who need it wait."""

SAVE_AGAIN = 5.0
"""Seconds between the later tries."""

type Spawn = Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]
"""Starts a task that is kept alive and whose exception is told."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a refresh gave, and for what."""

    service: TokenService
    before: StoredAccount
    credential: Credential

    @property
    def account(self) -> StoredAccount:
        """The account with it."""
        return dataclasses.replace(self.before, credential=self.credential, generation=self.before.generation + 1)


@dataclass(slots=True)
class Keeper:
    """Stores pairs."""

    book: AccountBook
    uses: Uses
    spawn: Spawn
    wall: Callable[[], float]
    _unsaved: dict[str, StoredAccount] = field(default_factory=dict)

    async def keep(self, pair: Pair) -> StoredAccount | None:
        """The account as it counts now. None: it was removed meanwhile."""
        problem = ""
        for pause in PAUSES:
            await asyncio.sleep(pause)
            try:
                return await asyncio.to_thread(self._save, pair)
            except (AccountError, StoreError) as e:
                problem = str(e)
        kept = pair.account
        logger.warning(
            "mitm-balancer: %s was renewed, and its new login is only in memory, for it cannot be stored: %s",
            kept.name, problem,
        )  # fmt: skip
        self._unsaved[kept.id] = kept
        self.spawn(self._save_later(pair, kept), "balancer save")
        return kept

    def newest(self, account: StoredAccount) -> StoredAccount:
        """The account as it counts: with a pair that could not be stored yet, if there is one."""
        kept = self._unsaved.get(account.id)
        if kept is None or account.generation >= kept.generation:
            return account
        return dataclasses.replace(account, credential=kept.credential, generation=kept.generation)

    def again(self, account: StoredAccount) -> StoredAccount | None:
        """The account as it is now, whatever its name. Blocks."""
        found = next((a for a in self.book.all() if a.id == account.id), None)
        return None if found is None else self.newest(found)

    def _save(self, pair: Pair) -> StoredAccount | None:
        before, old = pair.before, pair.before.credential
        assert old is not None
        assert old.refresh is not None
        saved = self.book.renew(before.name, pair.credential, generation=before.generation)
        if saved is None:
            saved = self._after_all(pair)
        if pair.credential.refresh == old.refresh:
            self.uses.failed(pair.service, old.refresh)  # it may be used again
        else:
            self.uses.dead(pair.service, old.refresh, before.name, SPENT, self.wall())
        return saved

    def _after_all(self, pair: Pair) -> StoredAccount | None:
        """Somebody was faster (a new login counts more than ours), or the account has another name by now."""
        found = self.again(pair.before)
        if found is None or found.generation != pair.before.generation:
            return found
        return self.book.renew(found.name, pair.credential, generation=found.generation)

    async def _save_later(self, pair: Pair, kept: StoredAccount) -> None:
        while True:
            await asyncio.sleep(SAVE_AGAIN)
            try:
                await asyncio.to_thread(self._save, pair)
            except (AccountError, StoreError):
                continue
            if self._unsaved.get(kept.id) is kept:
                del self._unsaved[kept.id]
            logger.info("mitm-balancer: the renewed login of %s is stored now", kept.name)
            return
