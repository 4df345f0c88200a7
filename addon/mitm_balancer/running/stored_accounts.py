"""The stored accounts of a running proxy: what was read of them last, and what has become of each since then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountError, StoredAccount
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import CooldownRow, Store

NOTE_EVERY = 30.0
"""Seconds between two notes of when accounts were used: people read days and hours."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the store gave."""

    accounts: Sequence[StoredAccount] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, Mapping[str, str | bool | None]] = field(default_factory=dict)
    cooldowns: Iterable[CooldownRow] = ()


@dataclass(frozen=True, slots=True)
class Fates:
    """What has become of accounts between two looks, by name."""

    renamed: Mapping[str, str]
    """Old name -> new name."""
    others: frozenset[str]
    """Gone, new, or of another owner under the same name: nothing that was learnt under that name holds."""
    renewed: frozenset[str]
    """The same account with another credential."""


class StoredAccounts:
    """Reads the store for the App. Without a store there are none."""

    def __init__(self, store: Store | None, home: Path) -> None:
        self.store, self.home = store, home
        self.vault = Vault.open(home)
        self.book = AccountBook(store, self.vault) if store is not None else None
        self.accounts: Sequence[StoredAccount] = ()
        self.by_name: Mapping[str, StoredAccount] = {}
        self.secrets: Mapping[str, Secret] = {}
        """What each sends, by its name."""
        self.problems: Mapping[str, str] = {}
        """Why some send nothing, by name."""
        self.newest: Callable[[StoredAccount], StoredAccount] = lambda account: account
        """The account with a credential that is newer than the stored one (see `renewing`)."""
        self.judge: Callable[[StoredAccount], str] = lambda _: ""
        """Why an account that has a credential cannot serve all the same."""
        self.order = asyncio.Lock()
        """One look at a time, so that an older one is never taken after a newer one."""
        self._revision = 0
        self._first = True
        self._noted: dict[str, float] = {}
        self._note_next = 0.0

    def look(self) -> Look:
        """Read everything that other processes may have changed. Blocks."""
        if self.store is None or self.book is None:
            return Look()
        self._revision = self.book.revision
        return Look(self.book.all(), self.store.settings(), self.store.account_flags(), self.store.cooldowns())

    def changed(self) -> bool:
        """Whether there is something new to look at. Blocks."""
        if self.store is None or self.book is None:
            return False
        unlocked = bool(self.problems) and self.vault.worth_asking()
        return self.store.changed() or self.book.revision != self._revision or unlocked

    def note_uses(self, when: Mapping[str, float]) -> None:
        """Write down when stored accounts last served, by name; now and then, and only what is new. Blocks."""
        if self.book is None or time.monotonic() < self._note_next:
            return
        self._note_next = time.monotonic() + NOTE_EVERY
        uses = {a.id: when[a.name] for a in self.accounts if when.get(a.name, 0.0) > self._noted.get(a.id, 0.0)}
        if uses:
            with contextlib.suppress(AccountError):  # the store tells its trouble itself, and the next time will do
                self.book.used(uses)
                self._noted |= uses

    def take(self, accounts: Sequence[StoredAccount]) -> Fates:
        """These are the accounts now."""
        accounts = [self.newest(account) for account in accounts]
        first, self._first = self._first, False
        # What an earlier process learnt of those that are there at the start holds.
        old, self.accounts = accounts if first else self.accounts, accounts
        self.by_name = {account.name: account for account in accounts}
        self.secrets = {a.name: a.credential.secret for a in accounts if a.credential is not None}
        self.problems = {a.name: problem for a in accounts if (problem := a.problem or self.judge(a))}
        return fates(old, accounts)


def fates(old: Sequence[StoredAccount], new: Sequence[StoredAccount]) -> Fates:
    """Compare two looks."""
    now = {account.id: account for account in new}
    renamed: dict[str, str] = {}
    before_ids = {account.id for account in old}
    others = {account.name for account in new if account.id not in before_ids}
    renewed: set[str] = set()
    for before in old:
        after = now.get(before.id)
        if after is None:
            others.add(before.name)
            continue
        if after.name != before.name:
            renamed[before.name] = after.name
        if after.generation != before.generation:
            renewed.add(after.name)
    return Fates(renamed, frozenset(others), frozenset(renewed))
