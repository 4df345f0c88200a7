"""The tables, as a list of migrations. Append only: a released migration is never changed, renamed or removed.

Each runs once per database in a transaction of its own and is recorded by name in the table `migrations`.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable

from sqlite_utils import Database

type Migration = Callable[[Database], None]

MIGRATIONS: list[Migration] = []

KEPT_ON_REPAIR = (
    "cooldowns", "account_flags", "state", "owners", "bindings", "settings",
    "accounts", "pending_accounts", "dismissed", "usage_snapshots", "token_uses",
)  # fmt: skip
"""What is worth carrying over from a damaged file: small; P8 is about cooldowns and tokens."""

OWNERS_SECRET = "owners-secret"  # noqa: S105 - the name of a row of `state`, not its value
"""Keys the fingerprints of resource ids: made once per database, so that they mean nothing outside of it."""


def migration(function: Migration) -> Migration:
    """Append to the list."""
    MIGRATIONS.append(function)
    return function


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Bring the tables up to date; the names of the migrations that ran. The connection is in autocommit mode."""
    applied = _applied(connection)
    if all(step.__name__ in applied for step in MIGRATIONS):
        return []
    ran = []
    db = Database(connection)
    for step in MIGRATIONS:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at REAL)")
            # Asked again inside the transaction: another process may have been first.
            if step.__name__ not in _applied(connection):
                step(db)
                connection.execute("INSERT INTO migrations VALUES (?, ?)", (step.__name__, time.time()))
                ran.append(step.__name__)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return ran


def _applied(connection: sqlite3.Connection) -> set[str]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name='migrations'").fetchone():
        return set()
    return {name for (name,) in connection.execute("SELECT name FROM migrations")}


@migration
def m001_cooldowns_state_flags(db: Database) -> None:
    db.table("cooldowns").create(
        {
            "name": str,
            "model": str,
            "until": float,
            "observed_at": float,
            "duration": float,
            "reason": str,
            "strikes": int,
        },
        pk=("name", "model"),
        not_null={"until", "observed_at", "duration", "reason", "strikes"},
    )
    db.table("state").create({"key": str, "value": str, "at": float}, pk="key", not_null={"value", "at"})
    db.table("account_flags").create(
        {"name": str, "flag": str, "value": str, "at": float}, pk=("name", "flag"), not_null={"value", "at"}
    )


@migration
def m002_traces_events(db: Database) -> None:
    db.table("traces").create(
        {"seq": int, "request_id": str, "at": float, "record": str}, pk="seq", not_null={"record"}
    )
    db.table("traces").create_index(["request_id"], unique=True)
    db.table("events").create(
        {"seq": int, "at": float, "type": str, "account": str, "message": str, "data": str}, pk="seq", not_null={"type"}
    )


@migration
def m003_usage_windows(db: Database) -> None:
    db.table("usage").create(
        {
            "day": str,
            "account": str,
            "model": str,
            "answers": int,
            "unmetered": int,
            "input": int,
            "output": int,
            "cache_read": int,
            "cache_write": int,
            "reasoning": int,
        },
        pk=("day", "account", "model"),
        not_null={"answers", "unmetered", "input", "output", "cache_read", "cache_write", "reasoning"},
    )
    db.table("limit_windows").create(
        {
            "account": str,
            "name": str,
            "seen_at": float,
            "used_percent": float,
            "remaining": float,
            "allowed": float,
            "reset_at": float,
            "status": str,
            "minutes": int,
        },
        pk=("account", "name"),
        not_null={"seen_at", "status"},
    )


@migration
def m004_owners(db: Database) -> None:
    db.table("owners").create(
        {"seq": int, "key": str, "account": str, "at": float}, pk="seq", not_null={"key", "account", "at"}
    )
    db.table("owners").create_index(["key"], unique=True)
    secret = {"key": OWNERS_SECRET, "value": json.dumps({"hex": secrets.token_hex(32)}), "at": time.time()}
    db.table("state").insert(secret, ignore=True)


@migration
def m005_bindings(db: Database) -> None:
    db.table("bindings").create(
        {"seq": int, "key": str, "account": str, "at": float}, pk="seq", not_null={"key", "account", "at"}
    )
    db.table("bindings").create_index(["key"], unique=True)


@migration
def m006_settings(db: Database) -> None:
    db.table("settings").create({"key": str, "value": str, "at": float}, pk="key", not_null={"value", "at"})


@migration
def m007_accounts(db: Database) -> None:
    # `sealed` is what accounts.vault makes: no column holds a secret in the clear.
    db.table("accounts").create(
        {
            "id": str,
            "provider": str,
            "alias": str,
            "kind": str,
            "generation": int,
            "expires_at": float,
            "sealed": bytes,
            "settings": str,
            "source": str,
            "created_at": float,
            "updated_at": float,
            "last_used_at": float,
        },
        pk="id",
        not_null={"provider", "alias", "kind", "generation", "settings", "source", "created_at", "updated_at"},
    )
    db.table("accounts").create_index(["provider", "alias"], unique=True)
    db.table("pending_accounts").create(
        {
            "id": str,
            "provider": str,
            "kind": str,
            "expires_at": float,
            "sealed": bytes,
            "source": str,
            "captured_at": float,
        },
        pk="id",
        not_null={"provider", "kind", "source", "captured_at"},
    )
    db.table("dismissed").create(
        {"fingerprint": str, "provider": str, "at": float}, pk="fingerprint", not_null={"provider", "at"}
    )


@migration
def m013_asks(db: Database) -> None:
    db.table("asks").create(
        {"seq": int, "at": float, "verb": str, "args": str, "answer": str}, pk="seq", not_null={"at", "verb", "args"}
    )


@migration
def m010_usage_snapshots(db: Database) -> None:
    db.table("usage_snapshots").create(
        {
            "account": str,
            "fetched_at": float,
            "confidence": str,
            "plan": str,
            "message": str,
            "raw_redacted": str,
            "error": str,
            "amounts": str,
            "next_at": float,
        },
        pk="account",
        not_null={"fetched_at", "confidence", "plan", "message", "raw_redacted", "error", "amounts", "next_at"},
    )
    db.execute("ALTER TABLE limit_windows ADD COLUMN source TEXT NOT NULL DEFAULT 'header'")


@migration
def m009_token_uses(db: Database) -> None:
    db.table("token_uses").create(
        {"token": str, "account": str, "at": float, "tries": int, "dead": str},
        pk="token",
        not_null={"account", "at", "tries", "dead"},
    )


@migration
def m014_origin_of_events(db: Database) -> None:
    db.table("events").add_column("origin", str, not_null_default="")
