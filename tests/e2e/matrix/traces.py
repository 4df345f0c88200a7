"""What the store remembers of a request, read as an operator's tool would."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

PATIENCE = 5.0
"""Seconds: the writer is a thread of its own, and traces come after the client's last byte."""


async def traces(home: Path, request_ids: set[str]) -> dict[str, dict[str, Any]]:
    """Request id -> its record; AssertionError when one never came."""
    deadline = time.monotonic() + PATIENCE
    while missing := request_ids - (found := _read(home)).keys():
        assert time.monotonic() < deadline, f"no trace of {sorted(missing)}"
        await asyncio.sleep(0.1)
    return found


def _read(home: Path) -> dict[str, dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{home / 'balancer.sqlite'}?mode=ro", uri=True)) as store:
        return {name: json.loads(record) for name, record in store.execute("SELECT request_id, record FROM traces")}
