"""Reading and writing, for whatever table: what `Store` is built on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mitm_balancer.store.database import Database
from mitm_balancer.store.home import StoreError
from mitm_balancer.store.repair import is_corrupt
from mitm_balancer.store.writer import Write, Writer

CLOSE_TIMEOUT = 2.0


class Access:
    """The connection of one process, and its writer."""

    def __init__(self, database: Database, writer: Writer, seen: tuple[int, int] | None) -> None:
        self._database = database
        self._writer = writer
        self._seen = seen
        self._last_read: dict[str, list[tuple[Any, ...]]] = {}

    @property
    def path(self) -> Path:
        return self._database.path

    @property
    def healthy(self) -> str | None:
        """None, or what is wrong with the store."""
        return self._writer.health

    def changed(self) -> bool:
        """Whether another process has written since the last call, or the database has come back. A read: blocks."""
        try:
            with self._database.lock:
                version = self._database.version()
        except (sqlite3.Error, OSError, StoreError):
            return False
        before, self._seen = self._seen, version
        return before != version

    def close(self) -> None:
        """Write what waits; at most two seconds."""
        self._writer.close(CLOSE_TIMEOUT)

    def back_up_soon(self) -> None:
        """With the next commit: what was just stored would be missed more than an hour of history."""
        self._database.backup_wanted = True

    def transact[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction of its own; what it wrote is on disk when this returns.

        Blocks, so never on the event loop. Raises StoreError when the database cannot be written; what `work` raises
        rolls everything back and is raised on.
        """
        try:
            with self._database.lock:
                connection = self._database.connection()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                return result
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.Error) and is_corrupt(error):
                with self._database.lock:
                    self._database.close()  # the next use repairs it
            raise StoreError(f"{self.path.name} cannot be written: {error}") from error

    def read(self, query: str, params: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query; none when the database cannot be read (`healthy` tells why). Blocks."""
        return self._read(query, params) or []

    def try_read(self, query: str, params: tuple[object, ...] = ()) -> list[tuple[Any, ...]] | None:
        """All rows of a query; None when the database cannot be read, so that nobody takes that for "no rows"."""
        return self._read(query, params)

    def put(self, write: Write) -> Future[bool]:
        """Hand over a write of a table that has a file of its own. Returns at once and never raises."""
        return self._writer.put(write)

    def _read(self, query: str, params: tuple[object, ...] = ()) -> list[tuple[Any, ...]] | None:
        """All rows, or None when the database cannot be read; damage is repaired on the way."""
        for _ in range(2):
            try:
                with self._database.lock:
                    return self._database.connection().execute(query, params).fetchall()
            except (sqlite3.Error, OSError, StoreError) as error:
                if not (isinstance(error, sqlite3.Error) and is_corrupt(error)):
                    break
                with self._database.lock:
                    self._database.close()
        return None

    def _read_or_last(self, query: str) -> list[tuple[Any, ...]]:
        """All rows; those that were read last while the database cannot be read: what holds goes on holding (P9)."""
        found = self._read(query)
        if found is not None:
            self._last_read[query] = found
        return self._last_read.get(query, [])
