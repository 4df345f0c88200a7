"""Where `balancer events` reads: the store's events, or the lines of the audit log. Both come out as audit lines."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mitm_balancer.cli.bus import DATABASE, opened
from mitm_balancer.ops.audit import fields, stamp
from mitm_balancer.ops.events import Event
from mitm_balancer.ops.logfile import numbered
from mitm_balancer.store import EventRow, Store

type Line = dict[str, Any]
"""As in docs/audit.md: `ts`, `event`, and the fields of the type."""

LOOK = 0.25
"""Seconds between two looks for something new: a proxy's store is a quarter of a second behind."""

ALL = 10_000
"""What the store keeps."""

MOST_FILES = 1000


def from_store(home: Path, *, follow: bool) -> Iterator[Line | None]:
    """Every event, oldest first. None: all that there is now has been given; then it goes on, or ends."""
    while follow and not (home / DATABASE).exists():  # looking never makes one
        yield None
        time.sleep(LOOK)
    with opened(home) as store:
        if store is None:
            return
        yield from _rows(store, follow)


def _rows(store: Store, follow: bool) -> Iterator[Line | None]:
    seen = 0
    while True:
        for row in store.events(after=seen, limit=ALL):
            seen = row.seq
            yield line_of(row)
        yield None
        if not follow:
            return
        time.sleep(LOOK)


def line_of(row: EventRow) -> Line:
    """A stored event, as it stands in the audit log."""
    event = Event(row.type, row.at, row.account, row.message, row.data)
    return {"ts": stamp(row.at), "event": row.type, **fields(event)}


def from_log(path: Path, *, follow: bool) -> Iterator[Line | None]:
    """Every line of the audit log, of the files put aside too, oldest first. None as above."""
    for number in range(MOST_FILES, 0, -1):
        if (old := numbered(path, number)).exists():
            yield from _parsed(old.read_bytes().splitlines())
    with _Tail(path) as tail:
        while True:
            yield from _parsed(tail.lines())
            yield None
            if not follow:
                return
            time.sleep(LOOK)


def _parsed(lines: Iterable[bytes]) -> Iterator[Line]:
    for text in lines:
        try:
            found = json.loads(text)
        except ValueError:
            continue  # cut off by a full disk
        if isinstance(found, dict):
            yield found


class _Tail:
    """Whole lines of a file as they come, also after it was put aside for a new one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None
        self._rest = b""

    def __enter__(self) -> _Tail:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def lines(self) -> list[bytes]:
        """All that are new."""
        found = self._read()
        if self._moved():
            found += self._read()  # what came before it was put aside
            self.__exit__()
            self._handle = None
            found += self._read()
        return found

    def _read(self) -> list[bytes]:
        if self._handle is None:
            try:
                self._handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return []
        parts = [self._rest]
        while data := os.read(self._handle, 1 << 20):
            parts.append(data)
        *whole, self._rest = b"".join(parts).split(b"\n")
        return whole

    def _moved(self) -> bool:
        if self._handle is None:
            return False
        ours = os.fstat(self._handle)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        return (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino)
