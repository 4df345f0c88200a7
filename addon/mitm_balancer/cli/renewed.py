"""Logins whose token has ended are renewed before a command of ours speaks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from pathlib import Path

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.oauth.memory import renewable
from mitm_balancer.accounts.oauth.outcome import Fresh, NeedsLogin
from mitm_balancer.accounts.oauth.refresher import Refresher
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.store import Store
from mitm_balancer.upstream.pool import Pool

FINISH = 30.0
"""Seconds for a renewal that is under way: an answer that nobody reads would cost a login."""


async def renewed(
    book: AccountBook, store: Store, pool: Pool, home: Path, names: Container[str]
) -> tuple[list[StoredAccount], dict[str, str]]:
    """The stored accounts, those in question with a token that has not ended; and why some have none."""

    async def heard() -> None:
        """Nobody else is to be told: the accounts are read again below."""

    refresher = Refresher(book, store, pool, home, spawn, heard)
    ended = [a for a in book.all() if a.name in names and renewable(a) and refresher.memory.expired(a)]
    results = await asyncio.gather(*(refresher.renew(account) for account in ended))
    await refresher.finish(FINISH)
    problems = {
        account.name: str(result) if isinstance(result, NeedsLogin) else f"its token has ended: {result.reason}"
        for account, result in zip(ended, results, strict=True)
        if not isinstance(result, Fresh)
    }
    return book.all(), problems
