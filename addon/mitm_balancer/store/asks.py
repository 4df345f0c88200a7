"""What a command asks of the running proxies, and what they answer: rows of one table, the store is the bus.

The settings and states themselves are rows of their own, written before the proxy is asked; so a proxy that runs no
more, or comes later, misses nothing. All functions here block.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mitm_balancer.store.store import Store

KEPT = 100
"""Asks that stay in the table."""

FOR_ALL = frozenset({"clear", "reload"})
"""Verbs that every proxy of the home obeys, because each has a memory of its own. The others are done by one: the first
answer counts."""

FRESH = 60.0
"""Seconds after which nobody waits for an answer any more, and none is given."""


@dataclass(frozen=True, slots=True)
class Ask:
    """`seq` tells it from all others of this database; `at` is wall-clock seconds."""

    seq: int
    at: float
    verb: str
    args: Mapping[str, Any]
    answered: bool = False
    """Another proxy was first."""


def ask(store: Store, verb: str, args: Mapping[str, Any]) -> int:
    """Ask; the number by which to look for the answer. Raises StoreError when the database cannot be written."""

    def insert(connection: sqlite3.Connection) -> int:
        sql = "INSERT INTO asks (at, verb, args) VALUES (?, ?, ?)"
        seq = connection.execute(sql, (time.time(), verb, json.dumps(dict(args)))).lastrowid
        assert seq is not None
        connection.execute("DELETE FROM asks WHERE seq <= ?", (seq - KEPT,))
        return seq

    return store.transact(insert)


def newest(store: Store) -> int:
    """The number of the newest one; 0: there is none, or the database cannot be read."""
    found = store.read("SELECT MAX(seq) FROM asks")
    return int(found[0][0] or 0) if found else 0


def asked(store: Store, since: float, now: float, after: int = 0) -> list[Ask]:
    """What was asked in the last minute, oldest first: what waits for an answer, or is for all.

    Only what came since that wall-clock time, or has a number above `after`: the clock may have been set back, and a
    database that was made anew counts from 1.
    """
    query = (
        "SELECT seq, at, verb, args, answer IS NOT NULL FROM asks WHERE at >= ? AND (at >= ? OR seq > ?) ORDER BY seq"
    )
    rows = store.read(query, (now - FRESH, since, after))
    found = (Ask(seq, at, verb, _dict(args), bool(done)) for seq, at, verb, args, done in rows)
    return [ask for ask in found if not ask.answered or ask.verb in FOR_ALL]


def reply(store: Store, seq: int, answer: Mapping[str, Any]) -> None:
    """Answer. The first answer counts. Raises StoreError when the database cannot be written."""
    sql = "UPDATE asks SET answer = ? WHERE seq = ? AND answer IS NULL"
    store.transact(lambda connection: connection.execute(sql, (json.dumps(dict(answer)), seq)))


def replied(store: Store, seq: int) -> dict[str, Any] | None:
    """The answer; None while there is none."""
    rows = store.read("SELECT answer FROM asks WHERE seq = ? AND answer IS NOT NULL", (seq,))
    return _dict(rows[0][0]) if rows else None


def _dict(text: object) -> dict[str, Any]:
    try:
        found = json.loads(str(text))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
