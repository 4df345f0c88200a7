"""The one thread that writes: traffic hands it writes and goes on (P9).

Writes wait in a dict by key, so the newest of a key wins and the number of waiting writes is bounded. A durable write
wakes the thread at once; others wait up to `BATCH_DELAY` and share a commit. What cannot be written stays and is tried
again; `trouble` says so, and meanwhile durable writes are not waited for.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mitm_balancer.store.database import Database
from mitm_balancer.store.home import StoreError

logger = logging.getLogger(__name__)

BATCH_DELAY = 0.25
"""Seconds: well below the second in which other processes are to see a change."""

RETRY_DELAY = 1.0
COMPLAIN_EVERY = 60.0
MOST_WAITING = 10_000
MOST_IN_COMMIT = 500
"""Keeps the database's lock short for other processes."""

type Key = tuple[str, ...]

_NOT_STORABLE = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)
_BAD_VALUES = (*_NOT_STORABLE, ValueError, OverflowError)
"""The write is at fault, not the database: a lone surrogate, a number beyond 64 bits, text with NUL, ..."""

_OTHERS_FAULT = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
"""Our own connection is as good as new after these."""


@dataclass(slots=True, eq=False)
class Write:
    """One statement. `params` is also what readers are shown while it waits."""

    key: Key
    sql: str
    params: tuple[Any, ...] = field(repr=False)
    durable: bool = False
    bulk: str = ""
    """The same statement for many rows: its one parameter is a JSON array of `params`."""
    waiting: list[Future[bool]] = field(default_factory=list, repr=False)


class Writer:
    """Owns the thread. `housekeeping` statements run at the end of each commit that wrote their table."""

    def __init__(self, database: Database, housekeeping: dict[str, str], trouble: str | None = None) -> None:
        self._database = database
        self._housekeeping = housekeeping
        self._pending: dict[Key, Write] = {}
        self._changed = threading.Condition()
        self._due: float | None = time.monotonic() if trouble else None
        self._stopping = False
        self._lost = 0
        self._complained = -COMPLAIN_EVERY
        self.trouble = trouble
        self._thread = threading.Thread(target=self._run, name="balancer-store", daemon=True)
        self._thread.start()

    @property
    def health(self) -> str | None:
        """None, or what is wrong and what it has cost."""
        if self.trouble is None:
            return None
        lost = f", {self._lost} lost" if self._lost else ""
        return f"{self.trouble} ({len(self._pending)} writes waiting{lost})"

    def put(self, write: Write) -> Future[bool]:
        """Hand over a write. The result is True when it is on disk, False when it has to wait for better times.

        Writes of different keys keep their order. Never raises, never blocks on the disk.
        """
        future: Future[bool] = Future()
        # So that no caller's timeout can cancel it: the writer answers it in any case.
        future.set_running_or_notify_cancel()
        with self._changed:
            self._add(write)
            if self._stopping or (write.durable and self.trouble is not None):
                future.set_result(False)
            else:
                write.waiting.append(future)
        return future

    def note(self, write: Write) -> None:
        """The same for a write that nobody waits for: what every request leaves behind."""
        with self._changed:
            self._add(write)

    def _add(self, write: Write) -> None:
        self._supersede(write)
        self._pending[write.key] = write
        self._bound()
        self._schedule(0 if write.durable else BATCH_DELAY)

    def pending(self, kind: str) -> list[Write]:
        """The waiting writes of a kind, oldest first."""
        with self._changed:
            return [write for key, write in self._pending.items() if key[0] == kind]

    def close(self, timeout: float) -> None:
        """Write what waits, once, and end the thread; at most `timeout` seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout)
        if self._pending:
            logger.warning("the store closes with %d writes lost: %s", len(self._pending), self.trouble or "too slow")

    def _schedule(self, delay: float) -> None:
        due = time.monotonic() + delay
        # In trouble the retry's time stands, however much work comes in.
        if self._due is None or (due < self._due and self.trouble is None):
            self._due = due
            self._changed.notify()

    def _supersede(self, write: Write) -> None:
        if (older := self._pending.pop(write.key, None)) is not None:
            write.waiting += older.waiting
            # The older one may be on its way to the disk: it must not answer what the newer one now answers for.
            older.waiting = []

    def _bound(self) -> None:
        if len(self._pending) > MOST_WAITING:
            oldest = next((key for key, write in self._pending.items() if not write.durable), next(iter(self._pending)))
            self._answer([self._pending.pop(oldest)], stored=False)
            self._lost += 1

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (self._due is None or self._due > time.monotonic()):
                    self._changed.wait(None if self._due is None else self._due - time.monotonic())
                batch = list(self._pending.values())[:MOST_IN_COMMIT]
                stopping, self._due = self._stopping, None
            stored = self._try(batch)
            with self._changed:
                rest = bool(self._pending)
                if not stored:
                    self._due = time.monotonic() + RETRY_DELAY
                elif rest and self._due is None:
                    self._due = time.monotonic()
            if stopping and not (stored and rest):
                with self._database.lock:
                    self._database.close()
                return

    def _try(self, batch: list[Write]) -> bool:
        """Commit the batch, or record why it could not be; the border at which every error of the store ends."""
        try:
            with self._database.lock:
                self._commit(batch)
        except (sqlite3.Error, OSError, StoreError) as error:
            self._failed(batch, error)
            return False
        except Exception as error:
            logger.exception("the store's writer failed; it goes on")
            self._failed(batch, error)
            return False
        self._stored(batch)
        if batch:
            self._back_up()
        return True

    def _commit(self, batch: list[Write]) -> None:
        connection = self._database.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            singles = self._execute_bulks(connection, batch)
            for write in singles:
                self._execute(connection, write)
            for kind in {write.key[0] for write in batch} & self._housekeeping.keys():
                connection.execute(self._housekeeping[kind])
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    @staticmethod
    def _execute_bulks(connection: sqlite3.Connection, batch: list[Write]) -> list[Write]:
        """Write what can be written many at a time; gives back the rest.

        Each statement takes the interpreter's lock from the event loop twice: of hundreds a second, that cost the loop
        more than all the rest of a trace.
        """
        bulks: dict[str, list[Write]] = {}
        for write in batch:
            if write.bulk:
                bulks.setdefault(write.bulk, []).append(write)
        done: set[int] = set()
        for sql, writes in bulks.items():
            # One at a time finds the row that is at fault, or works where SQLite knows no JSON.
            with contextlib.suppress(sqlite3.OperationalError, *_BAD_VALUES):
                connection.execute(sql, (msgspec.json.encode([write.params for write in writes]).decode(),))
                done.update(map(id, writes))
        return [write for write in batch if id(write) not in done]

    def _execute(self, connection: sqlite3.Connection, write: Write) -> None:
        try:
            connection.execute(write.sql, write.params)
        except _BAD_VALUES as error:
            # Kept, it would hold up all others for ever. The values are not shown.
            self._lost += 1
            logger.warning("the store refused a %s record: %s", write.key[0], type(error).__name__)

    def _stored(self, batch: Iterable[Write]) -> None:
        with self._changed:
            if self.trouble is not None:
                logger.warning("the store works again")
                self.trouble = None
            for write in batch:
                if self._pending.get(write.key) is write:
                    del self._pending[write.key]
            self._answer(batch, stored=True)

    def _failed(self, batch: Iterable[Write], error: Exception) -> None:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _OTHERS_FAULT:
            with self._database.lock:
                # The next try opens the file anew: that repairs a damaged one, and sees that it may be written again.
                self._database.close()
        with self._changed:
            self.trouble = f"{self._database.path.name}: {error}"
            self._answer(batch, stored=False)
        if time.monotonic() - self._complained >= COMPLAIN_EVERY:
            self._complained = time.monotonic()
            logger.warning("the store cannot be written, traffic goes on: %s", self.health)

    @staticmethod
    def _answer(batch: Iterable[Write], *, stored: bool) -> None:
        for write in batch:
            for future in write.waiting:
                future.set_result(stored)
            write.waiting.clear()

    def _back_up(self) -> None:
        try:
            with self._database.lock:
                self._database.backup_if_due()
        except (sqlite3.Error, OSError, StoreError) as error:
            logger.warning("the rolling backup could not be made: %s", error)
