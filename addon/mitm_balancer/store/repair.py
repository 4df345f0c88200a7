"""Damage: how it is recognised, what replaces a damaged file, and what of it is saved.

Nothing is deleted: the damaged file is renamed. In its place comes the rolling backup if it is sound, else an empty
file; then the rows of the small tables that can still be read are carried over, newer ones winning (P8).
"""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from pathlib import Path

from mitm_balancer.store.home import create, family
from mitm_balancer.store.schema import KEPT_ON_REPAIR

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class CorruptError(sqlite3.DatabaseError):
    """Damage that SQLite itself has not complained about."""


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged, as against locked, full or read-only."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, CorruptError) or (code is not None and code & 0xFF in _CORRUPT)


def check(connection: sqlite3.Connection) -> None:
    """Raise for a damaged database."""
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise CorruptError("quick_check found damage")


def back_up(connection: sqlite3.Connection, path: Path) -> None:
    """Copy the database to `path`, private, complete and checked before it takes the old copy's place."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    create(fresh)
    try:
        with contextlib.closing(sqlite3.connect(fresh)) as copy:
            connection.backup(copy)
            # One file that needs no companions, wherever it is copied to.
            copy.execute("PRAGMA journal_mode=DELETE")
            check(copy)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def put_aside(path: Path) -> Path:
    """Rename a damaged database with its companions; the new name."""
    stamp = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}"
    names = (path.with_name(f"{path.name}.corrupt-{stamp}{suffix}") for suffix in ("", *(f".{n}" for n in range(99))))
    aside = next(name for name in names if not name.exists())
    for damaged, name in zip(family(path), family(aside), strict=True):
        with contextlib.suppress(FileNotFoundError):
            damaged.rename(name)
    return aside


def restore(backup: Path, path: Path) -> str | None:
    """Put the backup in place if it is sound, and say of when it is; else None."""
    try:
        with contextlib.closing(_read_only(backup)) as source:
            back_up(source, path)
        made = backup.stat().st_mtime
    except (sqlite3.Error, OSError):
        return None
    return f"restored from the backup of {datetime.datetime.fromtimestamp(made, datetime.UTC):%Y-%m-%d %H:%M} UTC"


def carry_over(damaged: Path, connection: sqlite3.Connection) -> int:
    """Save what can still be read of the damaged file's small tables; the number of rows."""
    saved = 0
    for table in KEPT_ON_REPAIR:
        # Reading may fail at any page; what was read until then is kept.
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_read_only(damaged)) as source:
            for row in source.execute(f"SELECT * FROM {table}"):  # noqa: S608 - our own three names
                marks = ",".join("?" * len(row))
                connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608
                saved += 1
    return saved


def _read_only(path: Path) -> sqlite3.Connection:
    # Nothing writes there any more; without `immutable` reading would leave new companions behind.
    immutable = "" if family(path)[1].exists() else "&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{immutable}", uri=True)
