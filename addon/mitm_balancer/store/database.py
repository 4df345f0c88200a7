"""One connection to `balancer.sqlite`: opened privately, checked, repaired when damaged, reopened when replaced.

Rules of this file: whoever uses the connection holds `lock`; errors of SQLite leave it as `sqlite3.Error`, and what to
do about them is the business of `writer` and `store`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mitm_balancer.store import repair
from mitm_balancer.store.home import DATABASE, family, locked, private_file, private_home
from mitm_balancer.store.schema import migrate

logger = logging.getLogger(__name__)

BUSY = 1.0
"""Seconds that SQLite waits for another process: longer than any commit, shorter than anyone's patience."""

BACKUP_EVERY = 3600.0
"""Seconds between two rolling backups."""

BACKUP_RETRY = 60.0
"""Seconds until a backup that failed is tried again."""


class Database:
    """The connection, and the files behind it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / DATABASE
        self.backup_path = home / f"{DATABASE}.bak"
        self.lock = threading.RLock()
        self.generation = 0
        """How often the file was opened."""
        self.backup_wanted = False
        """What has changed is worth a backup before the hour is over."""
        self._next_backup = 0.0
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def connection(self) -> sqlite3.Connection:
        """The open connection, made anew when there is none or when the file was replaced under it.

        Raises StoreError for files open to others, sqlite3.Error or OSError for all other trouble.
        """
        if self._connection is None or self._file != self._identity():
            self.close()
            self._connection = self._open()
            self._file = self._identity()
            self.generation += 1
        return self._connection

    def version(self) -> tuple[int, int]:
        """Changes when another connection has written, or the file was opened anew."""
        (version,) = self.connection().execute("PRAGMA data_version").fetchone()
        return self.generation, version

    def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def backup_if_due(self) -> None:
        """Renew the rolling backup when it is wanted or older than an hour, and no other process is doing it."""
        if not self.backup_wanted and (time.monotonic() < self._next_backup or not self._backup_is_old()):
            return
        # Also when it fails: not with every commit again.
        self._next_backup = time.monotonic() + BACKUP_RETRY
        connection = self.connection()
        with locked(self.home, wait=0) as held:
            if held and (self.backup_wanted or self._backup_is_old()):
                self.backup_wanted = False
                repair.back_up(connection, self.backup_path)

    def _backup_is_old(self) -> bool:
        try:
            age = time.time() - self.backup_path.stat().st_mtime
        except FileNotFoundError:
            return True
        return not 0 <= age < BACKUP_EVERY

    def _open(self) -> sqlite3.Connection:
        private_home(self.home)
        with locked(self.home):
            created = private_file(self.path)
            try:
                if not created and self.path.stat().st_size == 0 and self.backup_path.exists():
                    raise repair.CorruptError("the file is empty")
                return connect(self.path)
            except sqlite3.DatabaseError as error:
                if not repair.is_corrupt(error):
                    raise
                return self._repaired(error)

    def _repaired(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        aside = repair.put_aside(self.path)
        restored = repair.restore(self.backup_path, self.path)
        private_file(self.path)
        connection = connect(self.path)
        saved = repair.carry_over(aside, connection)
        # A warning, not an error: mitmproxy ends at an error during start-up, and we can serve.
        logger.warning(
            "the database was damaged (%s) and is now %s; %s; %d newer rows were saved from it",
            error,
            aside,
            restored or "there was no sound backup, so a fresh one was made: check the operator states",
            saved,
        )
        return connection

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode to a sound database with all its tables.

    A file that can only be read is opened as it is, when it has its tables: reading the cooldowns matters more (P8).
    """
    if os.access(path, os.W_OK):
        return _prepared(str(path), migrate)
    try:
        return _prepared(str(path))
    except sqlite3.OperationalError:
        # On a read-only file system SQLite cannot make the companions; without a -wal the file is complete.
        if family(path)[1].exists():
            raise
        return _prepared(f"{path.absolute().as_uri()}?immutable=1")


def _prepared(name: str, then: Callable[[sqlite3.Connection], object] | None = None) -> sqlite3.Connection:
    is_uri = name.startswith("file:")
    connection = sqlite3.connect(name, uri=is_uri, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # FULL: a commit that was acknowledged survives the loss of power too.
        connection.execute("PRAGMA synchronous=FULL")
        repair.check(connection)
        if then is not None:
            then(connection)
    except BaseException:
        connection.close()
        raise
    return connection
