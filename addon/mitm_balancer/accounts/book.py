"""The book of stored accounts: all reading and changing of them goes through here.

Synchronous and blocking: the proxy calls it through `asyncio.to_thread`. What changes something is on disk when it
returns, or raises AccountError. Credentials leave the vault once per generation and are kept as `Secret`.
"""

from __future__ import annotations

import dataclasses
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mitm_balancer.accounts import captured, moves, rows
from mitm_balancer.accounts.alias import normalized, random_alias
from mitm_balancer.accounts.model import AccountError, AccountSettings, Credential, Pending, StoredAccount
from mitm_balancer.accounts.sameness import same_account
from mitm_balancer.accounts.vault import Vault, VaultError
from mitm_balancer.ops.events import EventType
from mitm_balancer.store import Store, StoreError

__all__ = ["AccountBook", "AccountError"]


TRIES = 4
"""Of a change while others write, each as long as SQLite waits (a second): no renewed token is lost to a lock."""


class AccountBook:
    """One per process and home."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store, self._vault = store, vault
        self._lock = threading.Lock()
        self._open: dict[str, tuple[tuple[Any, ...], Credential]] = {}
        self._last: list[StoredAccount] = []
        self.revision = 0
        """One more with each change through this object: `Store.changed` tells only those of other processes."""

    # -- reading ------------------------------------------------------------------------------------------------

    def all(self) -> list[StoredAccount]:
        """Every account, oldest first. While the database cannot be read: those that were read last (P9)."""
        found = self._store.try_read(f"SELECT {rows.ACCOUNT_COLUMNS} FROM accounts ORDER BY created_at, id")  # noqa: S608
        if found is not None:
            self._last = self._accounts(found)
        return list(self._last)

    def listed(self) -> list[StoredAccount]:
        """The same without credentials: the vault is left alone, for those who only need names and settings."""
        found = self._store.try_read(f"SELECT {rows.ACCOUNT_COLUMNS} FROM accounts ORDER BY created_at, id") or []  # noqa: S608
        return [dataclasses.replace(rows.account(row, rows.NOT_UNSEALED), problem="") for row in found]

    def find(self, name: str) -> StoredAccount | None:
        """The account of that name (`provider/alias`)."""
        return next((account for account in self.all() if account.name == name), None)

    def same(self, provider: str, credential: Credential) -> StoredAccount | None:
        """The stored account that this credential belongs to, whatever its tokens are by now."""
        return _same(self.all(), provider, credential)

    # -- changing -----------------------------------------------------------------------------------------------

    def save(
        self,
        provider: str,
        alias: str | None,
        credential: Credential,
        source: str,
        settings: AccountSettings | None = None,
        *,
        activate: bool = False,
        taken: Iterable[str] = (),
    ) -> StoredAccount:
        """Store a credential. Of a known account it is refreshed, under the alias that it has, and nothing is doubled.

        No alias: five random characters, none of `taken`. An alias that another account has is taken over: the new
        credential starts without the old one's cooldown. `settings` None keeps what there is. `activate` makes it the
        provider's chosen account.
        """
        wanted = None if alias is None else normalized(alias)

        def work(connection: sqlite3.Connection) -> StoredAccount:
            return self._save(connection, provider, wanted, credential, source, settings, activate, frozenset(taken))

        saved = self._change(work, seals=True)
        self._store.add_event(EventType.ACCOUNT_SAVED, saved.name, f"{saved.name} was saved ({source})")
        return saved

    def renew(self, name: str, credential: Credential, *, generation: int) -> StoredAccount | None:
        """Store what a refresh gave: durable when it returns.

        Only when the stored generation is still `generation`; else None, and nothing is written.
        """

        def work(connection: sqlite3.Connection) -> StoredAccount | None:
            old = self._named(connection, name)
            if old is None or old.generation != generation:
                return None
            return self._put(connection, old, credential, old.source, old.settings)

        return self._change(work, seals=True)

    def rename(self, name: str, alias: str) -> StoredAccount:
        """Another alias; cooldowns, flags, usage, sessions, resources and the choice of the user follow it."""
        wanted = normalized(alias)

        def work(connection: sqlite3.Connection) -> StoredAccount:
            old = self._existing(connection, name)
            new = f"{old.provider}/{wanted}"
            if new == name:
                return old
            if self._named(connection, new) is not None:
                raise AccountError(f"Account already exists: {new}")
            connection.execute(
                "UPDATE accounts SET alias = ?, updated_at = ? WHERE id = ?", (wanted, time.time(), old.id)
            )
            moves.rename(connection, name, new)
            return self._existing(connection, new)

        found = self._change(work)
        if found.name != name:
            self._store.add_event(EventType.ACCOUNT_RENAMED, found.name, f"{name} is {found.name} now")
        return found

    def remove(self, name: str, order: Sequence[str] = ()) -> str | None:
        """Forget an account with its cooldowns and flags.

        `order` are the provider's accounts as they come after each other: when the removed one was chosen, the first
        of them is now. Returns the one that is chosen in its place.
        """

        def work(connection: sqlite3.Connection) -> str | None:
            old = self._existing(connection, name)
            connection.execute("DELETE FROM accounts WHERE id = ?", (old.id,))
            moves.forget(connection, name)
            others = order or [other.name for other in self._in(connection) if other.provider == old.provider]
            return moves.succeed(connection, old.provider, name, others)

        heir = self._change(work)
        self._store.add_event(EventType.ACCOUNT_REMOVED, name, f"{name} was removed")
        return heir

    def configure(self, name: str, settings: AccountSettings) -> StoredAccount:
        """Other settings for an account."""

        def work(connection: sqlite3.Connection) -> StoredAccount:
            old = self._existing(connection, name)
            text = rows.settings_text(settings)
            connection.execute(
                "UPDATE accounts SET settings = ?, updated_at = ? WHERE id = ?", (text, time.time(), old.id)
            )
            return self._existing(connection, name)

        return self._change(work)

    def activate(self, provider: str, name: str) -> None:
        """The user's choice for a provider. The caller knows that there is such an account, stored or declared."""
        self._change(lambda connection: moves.activate(connection, provider, name))
        self._store.add_event(EventType.ACCOUNT_ACTIVATED, name, f"{name} is now used")

    def used(self, when: Mapping[str, float]) -> None:
        """Note when accounts last served (id -> unix seconds)."""

        def work(connection: sqlite3.Connection) -> None:
            for row_id, at in when.items():
                connection.execute("UPDATE accounts SET last_used_at = ? WHERE id = ?", (at, row_id))

        try:
            self._store.transact(work)
        except StoreError as error:
            raise AccountError(str(error)) from None

    # -- captured, and not accounts yet -------------------------------------------------------------------------

    def capture(self, provider: str, credential: Credential, source: str) -> Pending | None:
        """Keep a credential that was seen, until somebody accepts or dismisses it.

        None: it is an account already, or it was dismissed. Seen again with newer tokens, the pending one gets them.
        """

        def work(connection: sqlite3.Connection) -> tuple[Pending, bool] | None:
            if _same(self._in(connection), provider, credential) is not None:
                return None
            return captured.put(connection, self._vault, provider, credential, source)

        found = self._change(work, seals=True)
        if found is None:
            return None
        pending, is_new = found
        if is_new:
            self._store.add_event(
                EventType.PENDING_CONNECTION_CAPTURED, "", f"a credential for {provider} was seen: {pending.id}"
            )
        return pending

    def pending(self) -> list[Pending]:
        """Every captured credential that is not decided on, the newest first."""
        found = self._store.try_read(captured.ALL) or []
        return [captured.read(self._vault, row) for row in found]

    def accept(self, id: str, alias: str | None, *, access_only: bool = False) -> StoredAccount:
        """Make an account of a pending one; both in one move. `access_only`: without its refresh token."""
        wanted = None if alias is None else normalized(alias)

        def work(connection: sqlite3.Connection) -> StoredAccount:
            found = captured.named(connection, self._vault, id)
            if found.credential is None:
                raise AccountError(
                    f"{found.id} cannot be accepted, {found.problem}; balancer accounts pending tells all"
                )
            credential = dataclasses.replace(found.credential, refresh=None) if access_only else found.credential
            saved = self._save(connection, found.provider, wanted, credential, found.source, None, True, frozenset())
            captured.drop(connection, found.id)
            return saved

        saved = self._change(work, seals=True)
        self._store.add_event(EventType.ACCOUNT_SAVED, saved.name, f"{saved.name} was saved ({saved.source})")
        return saved

    def dismiss(self, id: str) -> None:
        """Forget a pending one: of it stays a keyed fingerprint, so that it is not asked about again."""
        self._change(lambda connection: captured.dismiss(connection, self._vault, id), seals=True)

    # -- inside -------------------------------------------------------------------------------------------------

    def _save(
        self,
        connection: sqlite3.Connection,
        provider: str,
        alias: str | None,
        credential: Credential,
        source: str,
        settings: AccountSettings | None,
        activate: bool,
        taken: frozenset[str],
    ) -> StoredAccount:
        known = self._in(connection)
        mine = [account for account in known if account.provider == provider]
        old = _same(mine, provider, credential)
        if old is not None:
            saved = self._put(connection, old, credential, source, settings or old.settings)
        else:
            chosen = alias or random_alias({account.alias for account in mine} | taken)
            there = next((account for account in mine if account.alias == chosen), None)
            # Also of an account that is gone: a request that still ran may have left something behind it.
            moves.forget_cooldowns(connection, f"{provider}/{chosen}")
            saved = self._insert(connection, there, provider, chosen, credential, source, settings)
        if activate:
            moves.activate(connection, provider, saved.name)
        return saved

    def _insert(
        self,
        connection: sqlite3.Connection,
        there: StoredAccount | None,
        provider: str,
        alias: str,
        credential: Credential,
        source: str,
        settings: AccountSettings | None,
    ) -> StoredAccount:
        """A new row, in the place of `there`: with an id of its own, because it is another account."""
        now, row_id = time.time(), secrets.token_hex(8)
        kept = settings or (there.settings if there is not None else AccountSettings())
        if there is not None:
            connection.execute("DELETE FROM accounts WHERE id = ?", (there.id,))
        row = (
            row_id, provider, alias, credential.kind, (there.generation if there is not None else 0) + 1,
            credential.expires_at, rows.sealed(self._vault, row_id, credential), rows.settings_text(kept), source,
            now, now, None,
        )  # fmt: skip
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO accounts ({rows.ACCOUNT_COLUMNS}) VALUES ({marks})", row)  # noqa: S608
        return rows.account(row, credential)

    def _put(
        self,
        connection: sqlite3.Connection,
        old: StoredAccount,
        credential: Credential,
        source: str,
        settings: AccountSettings,
    ) -> StoredAccount:
        """The next generation of an account's credential."""
        blob = rows.sealed(self._vault, old.id, credential)
        connection.execute(
            "UPDATE accounts SET kind = ?, generation = ?, expires_at = ?, sealed = ?, settings = ?, source = ?, "
            "updated_at = ? WHERE id = ?",
            (
                credential.kind, old.generation + 1, credential.expires_at, blob, rows.settings_text(settings), source,
                time.time(), old.id,
            ),
        )  # fmt: skip
        moves.forget_refusal(connection, old.name)
        return self._existing(connection, old.name)

    def _existing(self, connection: sqlite3.Connection, name: str) -> StoredAccount:
        found = self._named(connection, name)
        if found is None:
            raise AccountError(f"Account not found: {name} (balancer accounts list shows all)")
        return found

    def _named(self, connection: sqlite3.Connection, name: str) -> StoredAccount | None:
        return next((account for account in self._in(connection) if account.name == name), None)

    def _in(self, connection: sqlite3.Connection) -> list[StoredAccount]:
        query = f"SELECT {rows.ACCOUNT_COLUMNS} FROM accounts ORDER BY created_at, id"  # noqa: S608 - our own columns
        return self._accounts(connection.execute(query).fetchall())

    def _accounts(self, found: Iterable[tuple[Any, ...]]) -> list[StoredAccount]:
        """Unseals what is new; the rest is known."""
        with self._lock:
            before, self._open = self._open, {}
            return [rows.account(row, self._credential(row, before)) for row in found]

    def _credential(
        self, row: tuple[Any, ...], known: Mapping[str, tuple[tuple[Any, ...], Credential]]
    ) -> Credential | str:
        row_id, kind, expires_at, blob = str(row[0]), row[3], row[5], row[6]
        key = (kind, expires_at, blob)
        if (found := known.get(row_id)) is not None and found[0] == key:
            self._open[row_id] = found
            return found[1]
        try:
            credential = rows.unsealed(self._vault, row_id, kind, expires_at, blob)
        except VaultError as error:
            return str(error)
        self._open[row_id] = (key, credential)
        return credential

    def _change[T](self, work: Callable[[sqlite3.Connection], T], *, seals: bool = False) -> T:
        # Before the transaction: a keyring that is slow must not hold the database.
        try:
            self._vault.unlocked(make=seals)
        except VaultError as error:
            if seals:
                raise AccountError(f"nothing can be stored: {error}") from None
        for tries in range(1, TRIES + 1):
            try:
                found = self._store.transact(work)
                break
            except StoreError as error:
                if tries == TRIES or not _is_passing(error):
                    raise AccountError(f"nothing was changed: {error}") from None
            except VaultError as error:
                raise AccountError(f"nothing was changed: {error}") from None
        self.revision += 1
        self._store.back_up_soon()
        return found


def _is_passing(error: StoreError) -> bool:
    """Whether another process held the database, which may have let go by now; or it was damaged, and is repaired."""
    passing = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF in passing


def _same(accounts: Iterable[StoredAccount], provider: str, credential: Credential) -> StoredAccount | None:
    of_provider = (account for account in accounts if account.provider == provider and account.credential is not None)
    return next((a for a in of_provider if a.credential and same_account(provider, a.credential, credential)), None)
