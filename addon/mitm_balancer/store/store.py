"""The store: what survives a restart, and the bus between the proxy and the CLI.

Writes return at once and never raise (P9); reads go to the disk and may take up to `database.BUSY` seconds, so the
event loop calls them through `asyncio.to_thread`. Reads see what this process has written, also while it waits.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from mitm_balancer.store.database import Database
from mitm_balancer.store.home import StoreError
from mitm_balancer.store.repair import is_corrupt
from mitm_balancer.store.rows import CooldownRow, EventRow, UsageRow, WindowRow
from mitm_balancer.store.schema import OWNERS_SECRET
from mitm_balancer.store.writer import Write, Writer

logger = logging.getLogger(__name__)

TRACES_KEPT = 5000
EVENTS_KEPT = 10_000
OWNERS_KEPT = 20_000
BINDINGS_KEPT = 20_000
CLOSE_TIMEOUT = 2.0

USAGE_DAYS_KEPT = 400
"""A year, to compare with."""

WINDOW_SECONDS_KEPT = 35 * 24 * 3600
"""The longest windows are monthly: one that was not seen for longer says nothing any more."""

type Flag = str | bool | None

_BOUND = "DELETE FROM {0} WHERE seq <= (SELECT seq FROM {0} ORDER BY seq DESC LIMIT 1 OFFSET {1})"
_encode = msgspec.json.Encoder(enc_hook=str).encode
_PREFIX = re.compile("[0-9a-f]{4,11}")
"""The beginning of a request id."""
_HOUSEKEEPING = {
    "trace": _BOUND.format("traces", TRACES_KEPT),
    "event": _BOUND.format("events", EVENTS_KEPT),
    "owner": _BOUND.format("owners", OWNERS_KEPT),
    "binding": _BOUND.format("bindings", BINDINGS_KEPT),
    "usage": f"DELETE FROM usage WHERE day < date('now', '-{USAGE_DAYS_KEPT} days')",  # noqa: S608 - our own number
    "snapshot": f"DELETE FROM usage_snapshots WHERE fetched_at < strftime('%s', 'now') - {WINDOW_SECONDS_KEPT}",  # noqa: S608
    "window": f"DELETE FROM limit_windows WHERE seen_at < strftime('%s', 'now') - {WINDOW_SECONDS_KEPT}",  # noqa: S608
}
_COOLDOWN_COLUMNS = ", ".join(field.name for field in dataclasses.fields(CooldownRow))
_WINDOW_COLUMNS = ", ".join(field.name for field in dataclasses.fields(WindowRow))
_USAGE_COLUMNS = [field.name for field in dataclasses.fields(UsageRow)]
_USAGE_KEY = ("day", "account", "model")
_ADD_USAGE = (
    f"INSERT INTO usage ({', '.join(_USAGE_COLUMNS)}) VALUES ({', '.join('?' * len(_USAGE_COLUMNS))}) "  # noqa: S608
    f"ON CONFLICT ({', '.join(_USAGE_KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in _USAGE_COLUMNS if name not in _USAGE_KEY)
)
_ADD_TRACE = "INSERT OR REPLACE INTO traces (request_id, at, record) VALUES (?, ?, ?)"
_ADD_TRACES = (
    "INSERT OR REPLACE INTO traces (request_id, at, record) "
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?)"
)


class Store:
    """Made by `open`, once per process."""

    def __init__(self, database: Database, writer: Writer, seen: tuple[int, int] | None) -> None:
        self._database = database
        self._writer = writer
        self._seen = seen
        self._events = itertools.count()
        self._known_cooldowns: list[CooldownRow] = []

    @classmethod
    def open(cls, home: Path) -> Store:
        """Open or make the database in `home`. Raises StoreError (with the cure) for files open to other users.

        Any other trouble - locked, full, read-only - does not raise: `healthy` tells it, and `changed` tells when the
        database can be read after all. A damaged one is put aside and restored from the rolling backup.
        """
        database = Database(home.absolute())
        seen, trouble = None, None
        try:
            seen = database.version()
        except (sqlite3.Error, OSError) as error:
            trouble = f"{database.path.name}: {error}"
            logger.warning("the store cannot be opened, traffic goes on without it: %s", trouble)
        return cls(database, Writer(database, _HOUSEKEEPING, trouble), seen)

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

    # Settings: what commands have set, over what the configuration says. Durable.

    def set_setting(self, key: str, value: object) -> Future[bool]:
        """Any JSON value; None removes it, so that the configuration counts again."""
        if value is None:
            sql = "DELETE FROM settings WHERE key = ?"
            return self._writer.put(Write(("setting", key), sql, (key,), durable=True))
        sql = "INSERT OR REPLACE INTO settings (key, value, at) VALUES (?, ?, ?)"
        params = (key, json.dumps(value), time.time())
        return self._writer.put(Write(("setting", key), sql, params, durable=True))

    def settings(self) -> dict[str, Any]:
        """Every setting that is set."""
        rows = dict(self._read("SELECT key, value FROM settings") or ())
        for write in self._writer.pending("setting"):
            rows.pop(write.params[0], None)
            if len(write.params) > 1:
                rows[write.params[0]] = write.params[1]
        return {str(key): json.loads(str(value)) for key, value in rows.items()}

    # Cooldowns: durable, because no account may be used before its cooldown ends (P8).

    def save_cooldown(self, row: CooldownRow) -> Future[bool]:
        """True when it is on disk; False when the store is in trouble (it is kept, and written later)."""
        marks = ", ".join("?" * len(dataclasses.fields(row)))
        sql = f"INSERT OR REPLACE INTO cooldowns ({_COOLDOWN_COLUMNS}) VALUES ({marks})"  # noqa: S608 - our own columns
        params = dataclasses.astuple(row)
        return self._writer.put(Write(("cooldown", row.name, row.model), sql, params, durable=True))

    def clear_cooldown(self, name: str, model: str | None = "") -> Future[bool]:
        """Forget one: of a model, of the whole account (""), or all that the account has (None)."""
        if model is not None:
            sql = "DELETE FROM cooldowns WHERE name = ? AND model = ?"
            return self._writer.put(Write(("cooldown", name, model), sql, (name, model), durable=True))
        sql = "DELETE FROM cooldowns WHERE name = ?"
        return self._writer.put(Write(("cooldown", name), sql, (name,), durable=True))

    def cooldowns(self) -> list[CooldownRow]:
        """All that are stored, ended ones too: `rows.remaining` tells how long each still runs."""
        query = f"SELECT {_COOLDOWN_COLUMNS} FROM cooldowns"  # noqa: S608 - our own columns
        found = self._read(query)
        if found is not None:
            self._known_cooldowns = [CooldownRow(*row) for row in found]
        rows = {(row.name, row.model): row for row in self._known_cooldowns}
        for write in self._writer.pending("cooldown"):
            if len(write.params) > 2:
                row = CooldownRow(*write.params)
                rows[row.name, row.model] = row
            else:
                rows = {key: row for key, row in rows.items() if key[: len(write.params)] != write.params}
        return list(rows.values())

    # Operator states: durable as well; a paused account stays paused.

    def set_account_flag(self, name: str, flag: str, value: Flag) -> Future[bool]:
        """Set an operator state (`paused`, `drained`, `disabled`, ...); None and False remove it."""
        if value is None or value is False:
            sql, params = "DELETE FROM account_flags WHERE name = ? AND flag = ?", (name, flag)
            return self._writer.put(Write(("flag", name, flag), sql, params, durable=True))
        sql = "INSERT OR REPLACE INTO account_flags (name, flag, value, at) VALUES (?, ?, ?, ?)"
        full = (name, flag, json.dumps(value), time.time())
        return self._writer.put(Write(("flag", name, flag), sql, full, durable=True))

    def account_flags(self) -> dict[str, dict[str, Flag]]:
        """Every operator state that is set: account -> flag -> value."""
        rows = {
            (name, flag): value for name, flag, value in self._read("SELECT name, flag, value FROM account_flags") or ()
        }
        for write in self._writer.pending("flag"):
            rows.pop(write.params[:2], None)
            if len(write.params) > 2:
                rows[write.params[:2]] = write.params[2]
        flags: dict[str, dict[str, Flag]] = {}
        for (name, flag), value in rows.items():
            flags.setdefault(str(name), {})[str(flag)] = json.loads(str(value))
        return flags

    # Status: batched, the last value of a key wins.

    def put_state(self, key: str, value: Mapping[str, object], *, soon: bool = False) -> None:
        """Leave a value for other processes (heartbeat, status). Seen there within half a second; `soon`: at once."""
        sql = "INSERT OR REPLACE INTO state (key, value, at) VALUES (?, ?, ?)"
        self._writer.note(Write(("state", key), sql, (key, _json(value), time.time()), durable=soon))

    def get_state(self, key: str) -> dict[str, object] | None:
        """The newest value of a key, from whichever process."""
        for write in self._writer.pending("state"):
            if write.key[1] == key:
                return _dict(write.params[1])
        found = self._read("SELECT value FROM state WHERE key = ?", (key,))
        return _dict(found[0][0]) if found else None

    # Usage and limit windows: batched; counts are added up, so that several proxies may share a home.

    def add_usage(self, rows: Iterable[UsageRow]) -> None:
        """Add these counts to what is stored. Each call is kept until it is on disk: see `usage_waiting`."""
        for row in rows:
            self._writer.note(Write(("usage", str(next(self._events))), _ADD_USAGE, dataclasses.astuple(row)))

    @property
    def usage_waiting(self) -> bool:
        """Whether counts handed over earlier are not on disk yet: the caller collects meanwhile (a bound on writes)."""
        return bool(self._writer.pending("usage"))

    def usage(self, day: str) -> list[UsageRow]:
        """The counts of one day (YYYY-MM-DD). Those still waiting are not among them."""
        query = f"SELECT {', '.join(_USAGE_COLUMNS)} FROM usage WHERE day = ?"  # noqa: S608 - our own columns
        return [UsageRow(*row) for row in self._read(query, (day,)) or ()]

    def save_windows(self, rows: Iterable[WindowRow]) -> None:
        """The newest state of each window."""
        marks = ", ".join("?" * len(dataclasses.fields(WindowRow)))
        sql = f"INSERT OR REPLACE INTO limit_windows ({_WINDOW_COLUMNS}) VALUES ({marks})"  # noqa: S608
        for row in rows:
            self._writer.note(Write(("window", row.account, row.name), sql, dataclasses.astuple(row)))

    def windows(self) -> list[WindowRow]:
        """Every window, as it was last seen. Those still waiting are not among them."""
        found = self._read(f"SELECT {_WINDOW_COLUMNS} FROM limit_windows ORDER BY rowid")  # noqa: S608
        return [WindowRow(*row) for row in found or ()]

    # Traces and events: batched and bounded.

    def add_trace(self, request_id: str, record: Mapping[str, object]) -> None:
        """Keep the story of a request; the newest 5000 stay."""
        params = (request_id, time.time(), _json(record))
        self._writer.note(Write(("trace", request_id), _ADD_TRACE, params, bulk=_ADD_TRACES))

    def get_trace(self, request_id: str) -> dict[str, object] | None:
        """The record of a request, by its id (or its beginning) or that of its flow; "last" is the newest one."""
        waiting = self._writer.pending("trace")
        if request_id == "last":
            if waiting:
                return _dict(waiting[-1].params[2])
            found = self._read("SELECT record FROM traces ORDER BY seq DESC LIMIT 1")
        else:
            for write in waiting:
                record = _dict(write.params[2])
                if record is not None and request_id in (write.params[0], record.get("flow")):
                    return record
            found = self._read("SELECT record FROM traces WHERE request_id = ?", (request_id,))
            if not found and _PREFIX.fullmatch(request_id):
                query = "SELECT record FROM traces WHERE request_id GLOB ? ORDER BY seq DESC LIMIT 1"
                found = self._read(query, (f"{request_id}*",))
            if not found and "-" in request_id:  # mitmproxy's flow ids are UUIDs, ours are not
                query = "SELECT record FROM traces WHERE json_extract(record, '$.flow') = ? ORDER BY seq DESC LIMIT 1"
                found = self._read(query, (request_id,))
        return _dict(found[0][0]) if found else None

    def add_event(
        self,
        type: str,
        account: str = "",
        message: str = "",
        data: Mapping[str, object] | None = None,
        *,
        origin: str = "",
        at: float | None = None,
    ) -> None:
        """Tell the operator of something; the newest 10,000 stay.

        `origin`: "proxy" for what a running proxy has told already; any other event it tells when it sees it here.
        `at`: unix seconds; None: now.
        """
        sql = "INSERT INTO events (at, type, account, message, data, origin) VALUES (?, ?, ?, ?, ?, ?)"
        params = (time.time() if at is None else at, str(type), account, message, _json(data or {}), origin)
        self._writer.note(Write(("event", str(next(self._events))), sql, params))

    def events(self, *, after: int = 0, limit: int = 100) -> list[EventRow]:
        """The newest events after that sequence number, oldest first. Those still waiting are not among them."""
        columns = "seq, at, type, account, message, data, origin"
        query = f"SELECT {columns} FROM events WHERE seq > ? ORDER BY seq DESC LIMIT ?"  # noqa: S608 - our own columns
        found = self._read(query, (after, limit)) or []
        return [
            EventRow(seq, at, kind, account, message, _dict(data) or {}, origin)
            for seq, at, kind, account, message, data, origin in reversed(found)
        ]

    def last_event(self) -> int:
        """The sequence number of the newest event; 0: there is none."""
        found = self._read("SELECT MAX(seq) FROM events")
        return int(found[0][0] or 0) if found else 0

    # Owners of resources: batched and bounded. `key` is a fingerprint, never an id.

    def save_owner(self, key: str, account: str, at: float) -> None:
        """Keep which account made a resource; the 20,000 that were written last stay."""
        self._save_pair("owner", "owners", (key, account, at))

    def owners(self) -> list[tuple[str, str, float]]:
        """Every (key, account, when) that is stored, oldest first."""
        return self._pairs("owner", "owners")

    # Bindings of sessions: the same, for sessions.

    def save_binding(self, key: str, account: str, at: float) -> None:
        """Keep which account a session is tied to; the 20,000 that were written last stay."""
        self._save_pair("binding", "bindings", (key, account, at))

    def bindings(self) -> list[tuple[str, str, float]]:
        """Every (key, account, when) that is stored, oldest first."""
        return self._pairs("binding", "bindings")

    def _save_pair(self, kind: str, table: str, row: tuple[str, str, float]) -> None:
        sql = f"INSERT OR REPLACE INTO {table} (key, account, at) VALUES (?, ?, ?)"  # noqa: S608 - our own table
        self._writer.note(Write((kind, row[0]), sql, row))

    def _pairs(self, kind: str, table: str) -> list[tuple[str, str, float]]:
        query = f"SELECT key, account, at FROM {table} ORDER BY seq"  # noqa: S608 - our own table
        rows = {row[0]: row for row in self._read(query) or ()}
        for write in self._writer.pending(kind):
            rows.pop(write.params[0], None)
            rows[write.params[0]] = write.params
        return [(str(key), str(account), float(at)) for key, account, at in rows.values()]

    def owners_secret(self) -> bytes | None:
        """What keys the fingerprints of this database; None while it cannot be read."""
        found = self.get_state(OWNERS_SECRET)
        try:
            return bytes.fromhex(str(found["hex"])) if found else None
        except (KeyError, ValueError):
            return None

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


def _json(value: object) -> str:
    """Anything as JSON: what it cannot hold becomes its text (`Secret(***)`), because telling must not fail traffic."""
    try:
        return _encode(value).decode()
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        pass  # a lone surrogate, a key that is no text
    try:
        return json.dumps(value, default=str, skipkeys=True)
    except (ValueError, TypeError, RecursionError):
        return json.dumps({"unreadable": type(value).__name__})


def _dict(text: object) -> dict[str, object] | None:
    try:
        found = json.loads(str(text))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
