"""What hangs on an account's name in the database, and follows it through a rename or goes with it.

Functions of a connection inside a transaction (`Store.transact`): all of it happens, or nothing.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from typing import Any

ACTIVE, ACTIVE_AT, ORDER, PINS = "active", "active_at", "order", "pins"
"""Settings that name accounts, and one with the times of the choices (`overrides`)."""

TOLD = ("in_use", "live")
"""Rows of `state` by which a proxy goes on after a restart; they name accounts, too."""

FOLLOW = (
    ("cooldowns", "name"),
    ("account_flags", "name"),
    ("usage", "account"),
    ("limit_windows", "account"),
    ("bindings", "account"),
    ("owners", "account"),
    ("usage_snapshots", "account"),
    ("token_uses", "account"),
)
"""(table, column) with an account's name. Events and traces tell the past and keep the old one."""

KEPT = ("usage", "token_uses")
"""What was used was used all the same; and a token that was sent for renewal once is known when it comes back."""

FORGET = tuple(entry for entry in FOLLOW if entry[0] not in KEPT)
"""What goes with a removed account."""

_AUTH = "AuthFailure:%"
"""Reasons of cooldowns (`running.recording.stored`) that a new credential cures."""


def rename(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Everything that was of `old` is of `new`; what an earlier account left under that name gives way."""
    forget(connection, new)
    for table, column in FOLLOW:
        sql = f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {column} = ?"  # noqa: S608 - our own names
        connection.execute(sql, (new, old))
    for key in (ACTIVE, ORDER, PINS):
        value = setting(connection, key)
        if value is not None and (changed := _renamed(value, old, new)) != value:
            put_setting(connection, key, changed)
    for key in TOLD:
        found = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        value = _read(found[0]) if found else None
        if value is not None and (changed := _renamed(value, old, new)) != value:
            connection.execute("UPDATE state SET value = ? WHERE key = ?", (json.dumps(changed), key))


def forget(connection: sqlite3.Connection, name: str) -> None:
    """What would make a later account of that name inherit something."""
    for table, column in FORGET:
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))  # noqa: S608 - our own names
    order = setting(connection, ORDER)
    if isinstance(order, dict) and order.pop(name, None) is not None:
        put_setting(connection, ORDER, order)


def forget_cooldowns(connection: sqlite3.Connection, name: str) -> None:
    """Another credential owner under an old name starts with a clean slate (mends the seed)."""
    connection.execute("DELETE FROM cooldowns WHERE name = ?", (name,))
    for table in ("limit_windows", "usage_snapshots"):
        connection.execute(f"DELETE FROM {table} WHERE account = ?", (name,))  # noqa: S608 - our own names


def forget_refusal(connection: sqlite3.Connection, name: str) -> None:
    """A new token cures what the old one was refused for; a limit stays one."""
    connection.execute("DELETE FROM cooldowns WHERE name = ? AND reason LIKE ?", (name, _AUTH))


def activate(connection: sqlite3.Connection, provider: str, name: str | None) -> None:
    """Note the account that the user chose for a provider; None: no choice."""
    active = setting(connection, ACTIVE)
    chosen = dict(active) if isinstance(active, Mapping) else {}
    chosen.pop(provider, None)
    if name is not None:
        chosen[provider] = name
    put_setting(connection, ACTIVE, chosen or None)
    found = setting(connection, ACTIVE_AT)
    times = {key: at for key, at in (found if isinstance(found, dict) else {}).items() if key in chosen}
    put_setting(connection, ACTIVE_AT, times | {provider: time.time()} if name is not None else times or None)


def succeed(connection: sqlite3.Connection, provider: str, name: str, order: Iterable[str]) -> str | None:
    """When the chosen account goes, the next of `order` is chosen. Returns it; None: it was not the chosen one."""
    active = setting(connection, ACTIVE)
    if not isinstance(active, dict) or active.get(provider) != name:
        return None
    heir = next((other for other in order if other != name), None)
    activate(connection, provider, heir)
    return heir


def setting(connection: sqlite3.Connection, key: str) -> Any:
    """The value of a setting; None: not set, or not readable."""
    found = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
    return _read(found[0]) if found else None


def _read(text: object) -> Any:
    try:
        return json.loads(str(text))
    except ValueError:
        return None


def put_setting(connection: sqlite3.Connection, key: str, value: Any) -> None:
    """As `Store.set_setting`, inside a transaction."""
    if value is None:
        connection.execute("DELETE FROM settings WHERE key = ?", (key,))
    else:
        sql = "INSERT OR REPLACE INTO settings (key, value, at) VALUES (?, ?, ?)"
        connection.execute(sql, (key, json.dumps(value), time.time()))


def _renamed(value: Any, old: str, new: str) -> Any:
    """The same value with one name for another, wherever it stands as a key or as a text."""
    if isinstance(value, dict):
        return {new if key == old else key: _renamed(entry, old, new) for key, entry in value.items()}
    if isinstance(value, list):
        return [_renamed(entry, old, new) for entry in value]
    return new if value == old else value
