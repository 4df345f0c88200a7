"""What a command asks of a running proxy, and what the proxy answers: rows of one table, the store is the bus.

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

FRESH = 60.0
"""Seconds after which nobody waits for an answer any more, and none is given."""


@dataclass(frozen=True, slots=True)
class Ask:
    """`seq` tells it from all others of this database; `at` is wall-clock seconds."""

    seq: int
    at: float
    verb: str
    args: Mapping[str, Any]


def ask(store: Store, verb: str, args: Mapping[str, Any]) -> int:
    """Ask; the number by which to look for the answer. Raises StoreError when the database cannot be written."""

    def insert(connection: sqlite3.Connection) -> int:
        sql = "INSERT INTO asks (at, verb, args) VALUES (?, ?, ?)"
        seq = connection.execute(sql, (time.time(), verb, json.dumps(dict(args)))).lastrowid
        assert seq is not None
        connection.execute("DELETE FROM asks WHERE seq <= ?", (seq - KEPT,))
        return seq

    return store.transact(insert)


def asked(store: Store, since: float) -> list[Ask]:
    """What was asked since that wall-clock time and waits for an answer, oldest first."""
    query = "SELECT seq, at, verb, args FROM asks WHERE answer IS NULL AND at >= ? ORDER BY seq"
    return [Ask(seq, at, verb, _dict(args)) for seq, at, verb, args in store.read(query, (since,))]


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
