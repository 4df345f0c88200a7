"""Captured credentials in the database: kept until somebody decides, and then really forgotten (behaviour spec 2.3).

Functions of a connection inside a transaction; the vault has been unlocked before.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from typing import Any

from mitm_balancer.accounts import rows
from mitm_balancer.accounts.model import AccountError, Credential, Pending
from mitm_balancer.accounts.sameness import marks, same_account
from mitm_balancer.accounts.vault import Vault, VaultError

ALL = f"SELECT {rows.PENDING_COLUMNS} FROM pending_accounts ORDER BY captured_at DESC, id DESC"  # noqa: S608


def put(
    connection: sqlite3.Connection, vault: Vault, provider: str, credential: Credential, source: str
) -> tuple[Pending, bool] | None:
    """Keep it; where the same account is pending already, with what is newer. None: it was dismissed.

    The flag tells whether it is a new one. A whole login stays one when its access token is seen in use.
    """
    if _is_dismissed(connection, vault, provider, credential):
        return None
    now = time.time()
    old = _pending_same(connection, vault, provider, credential)
    if old is not None and old.credential is not None and old.credential.refresh and credential.refresh is None:
        return old, False
    row_id = old.id if old is not None else f"p-{secrets.token_hex(4)}"
    captured_at = old.captured_at if old is not None else now
    blob = rows.sealed(vault, row_id, credential)
    row = (row_id, provider, credential.kind, credential.expires_at, blob, source, captured_at)
    sql = f"INSERT OR REPLACE INTO pending_accounts ({rows.PENDING_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
    connection.execute(sql, row)
    return rows.pending(row, credential), old is None


def named(connection: sqlite3.Connection, vault: Vault, row_id: str) -> Pending:
    """The pending account of that id. Raises AccountError when there is none."""
    for row in connection.execute(ALL).fetchall():
        if row[0] == row_id:
            return read(vault, row)
    raise AccountError(f"nothing is pending under {row_id} (balancer accounts pending shows what is)")


def drop(connection: sqlite3.Connection, row_id: str) -> None:
    """It is decided on."""
    connection.execute("DELETE FROM pending_accounts WHERE id = ?", (row_id,))


def dismiss(connection: sqlite3.Connection, vault: Vault, row_id: str) -> None:
    """Nothing stays of it but what recognises it again."""
    found = named(connection, vault, row_id)
    if found.credential is not None:
        for mark in marks(found.provider, found.credential):
            sql = "INSERT OR REPLACE INTO dismissed (fingerprint, provider, at) VALUES (?, ?, ?)"
            connection.execute(sql, (vault.fingerprint(mark), found.provider, time.time()))
    drop(connection, row_id)


def read(vault: Vault, row: tuple[Any, ...]) -> Pending:
    """A row, with its credential or with what is wrong with it."""
    row_id, _, kind, expires_at, blob, *_ = row
    try:
        return rows.pending(row, rows.unsealed(vault, str(row_id), kind, expires_at, blob))
    except VaultError as error:
        return rows.pending(row, str(error))


def _is_dismissed(connection: sqlite3.Connection, vault: Vault, provider: str, credential: Credential) -> bool:
    query = "SELECT 1 FROM dismissed WHERE fingerprint = ?"
    return any(connection.execute(query, (vault.fingerprint(mark),)).fetchone() for mark in marks(provider, credential))


def _pending_same(
    connection: sqlite3.Connection, vault: Vault, provider: str, credential: Credential
) -> Pending | None:
    known = (read(vault, row) for row in connection.execute(ALL).fetchall() if row[1] == provider)
    return next((p for p in known if p.credential and same_account(provider, p.credential, credential)), None)
