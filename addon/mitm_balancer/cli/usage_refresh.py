"""`balancer usage --refresh`: a running proxy asks the providers; without one, this process does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.credentials import CredentialError, resolve
from mitm_balancer.accounts.roster import merge
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli import outside
from mitm_balancer.cli.board import Line
from mitm_balancer.cli.renewed import renewed
from mitm_balancer.config import Config, Stored
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.running.bookkeeping import Bookkeeper
from mitm_balancer.running.polling import Polls
from mitm_balancer.store import Store
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.usage.book import Book

WAIT = 30.0
"""Seconds that a proxy has: one account's questions may take 20, four accounts are asked at once."""


def refresh(home: Path, config: Config, store: Store, names: Sequence[str]) -> tuple[Mapping[str, str], str]:
    """Ask about these accounts; why some were not asked, and who asked: `proxy`, `cli` or `silent` (no answer came)."""
    line = Line(store, home)
    if line.proxy is not None:
        outcome = line.tell("usage", {"accounts": list(names)}, WAIT).get("outcome")
        return ({}, "silent") if line.silent else (outcome if isinstance(outcome, dict) else {}, "proxy")
    return asyncio.run(_ourselves(home, config, store, names)), "cli"


async def _ourselves(home: Path, config: Config, store: Store, names: Sequence[str]) -> Mapping[str, str]:
    pool = outside.pool()
    try:
        return await _over(pool, home, config, store, names)
    finally:
        await pool.aclose()


async def _over(pool: Pool, home: Path, config: Config, store: Store, names: Sequence[str]) -> Mapping[str, str]:
    stored, problems = await renewed(AccountBook(store, Vault.open(home)), store, pool, home, names)
    merged, _ = merge(config, stored)
    secrets = {a.name: a.credential.secret for a in stored if a.credential is not None}
    for spec in merged.accounts:
        if spec.name in names and spec.enabled and not isinstance(spec.credential, Stored):
            try:
                secrets[spec.name] = await resolve(spec.credential)
            except CredentialError as e:
                problems[spec.name] = str(e)
    flags = store.account_flags()
    off = {name for name, of_name in flags.items() if of_name.get("disabled")}
    book = Book()
    polls = Polls(
        pool,
        book,
        store,
        spawn,
        store.add_event,
        lambda spec: bool(off & {spec.name, spec.provider}),
        Bookkeeper(book, store).save,
    )
    polls.pace(merged, lambda spec: secrets.get(spec.name), stored)
    await polls.begin()
    outcome = await polls.poller.refresh([name for name in names if name not in problems])
    await polls.written()
    return outcome | problems
