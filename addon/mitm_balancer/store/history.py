"""What has happened: usage and limit windows, traces and events."""

from __future__ import annotations

import dataclasses
import itertools
import re
import time
from collections.abc import Iterable, Mapping

from mitm_balancer.store.access import Access
from mitm_balancer.store.database import Database
from mitm_balancer.store.encoding import to_dict, to_json
from mitm_balancer.store.rows import EventRow, UsageRow, WindowRow
from mitm_balancer.store.writer import Write, Writer

_PREFIX = re.compile("[0-9a-f]{4,11}")
"""The beginning of a request id."""
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


class History(Access):
    """Batched and bounded."""

    def __init__(self, database: Database, writer: Writer, seen: tuple[int, int] | None) -> None:
        super().__init__(database, writer, seen)
        self._numbers = itertools.count()

    # Usage and limit windows: batched; counts are added up, so that several proxies may share a home.

    def add_usage(self, rows: Iterable[UsageRow]) -> None:
        """Add these counts to what is stored. Each call is kept until it is on disk: see `usage_waiting`."""
        for row in rows:
            self._writer.note(Write(("usage", str(next(self._numbers))), _ADD_USAGE, dataclasses.astuple(row)))

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
        params = (request_id, time.time(), to_json(record))
        self._writer.note(Write(("trace", request_id), _ADD_TRACE, params, bulk=_ADD_TRACES))

    def get_trace(self, request_id: str) -> dict[str, object] | None:
        """The record of a request, by its id (or its beginning) or that of its flow; "last" is the newest one."""
        waiting = self._writer.pending("trace")
        if request_id == "last":
            if waiting:
                return to_dict(waiting[-1].params[2])
            found = self._read("SELECT record FROM traces ORDER BY seq DESC LIMIT 1")
        else:
            for write in waiting:
                record = to_dict(write.params[2])
                if record is not None and request_id in (write.params[0], record.get("flow")):
                    return record
            found = self._read("SELECT record FROM traces WHERE request_id = ?", (request_id,))
            if not found and _PREFIX.fullmatch(request_id):
                query = "SELECT record FROM traces WHERE request_id GLOB ? ORDER BY seq DESC LIMIT 1"
                found = self._read(query, (f"{request_id}*",))
            if not found and "-" in request_id:  # mitmproxy's flow ids are UUIDs, ours are not
                query = "SELECT record FROM traces WHERE json_extract(record, '$.flow') = ? ORDER BY seq DESC LIMIT 1"
                found = self._read(query, (request_id,))
        return to_dict(found[0][0]) if found else None

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
        params = (time.time() if at is None else at, str(type), account, message, to_json(data or {}), origin)
        self._writer.note(Write(("event", str(next(self._numbers))), sql, params))

    def events(self, *, after: int = 0, limit: int = 100) -> list[EventRow]:
        """The newest events after that sequence number, oldest first. Those still waiting are not among them."""
        columns = "seq, at, type, account, message, data, origin"
        query = f"SELECT {columns} FROM events WHERE seq > ? ORDER BY seq DESC LIMIT ?"  # noqa: S608 - our own columns
        found = self._read(query, (after, limit)) or []
        return [
            EventRow(seq, at, kind, account, message, to_dict(data) or {}, origin)
            for seq, at, kind, account, message, data, origin in reversed(found)
        ]

    def last_event(self) -> int:
        """The sequence number of the newest event; 0: there is none."""
        found = self._read("SELECT MAX(seq) FROM events")
        return int(found[0][0] or 0) if found else 0
