"""What polls of accounts have told last: one row for each account."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future
from dataclasses import dataclass

from mitm_balancer.store.store import Store
from mitm_balancer.store.writer import Write


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """Of one account; times are wall-clock seconds. The numbers of its windows are in `limit_windows`."""

    account: str
    fetched_at: float
    """When it was asked."""
    confidence: str
    """`exact`, or `unavailable`: then `message` says why, and the windows are older."""
    plan: str = ""
    message: str = ""
    raw_redacted: str = ""
    """JSON: what was answered, without secrets. Empty: nothing was."""
    error: str = ""
    """What kept it from being asked at all."""
    amounts: str = "[]"
    """JSON list: credits and balances."""
    next_at: float = 0.0
    """Not to be asked before, over restarts too."""


_COLUMNS = ", ".join(field.name for field in dataclasses.fields(SnapshotRow))
_MARKS = ", ".join("?" * len(dataclasses.fields(SnapshotRow)))
_SAVE = f"INSERT OR REPLACE INTO usage_snapshots ({_COLUMNS}) VALUES ({_MARKS})"  # noqa: S608 - our own columns
_LIST = f"SELECT {_COLUMNS} FROM usage_snapshots"  # noqa: S608 - our own columns


def save(store: Store, row: SnapshotRow) -> Future[bool]:
    """Batched; the newest of an account wins."""
    return store.put(Write(("snapshot", row.account), _SAVE, dataclasses.astuple(row)))


def listed(store: Store) -> dict[str, SnapshotRow]:
    """By account. Those still waiting to be written are not among them. Blocks."""
    return {row.account: row for row in (SnapshotRow(*found) for found in store.read(_LIST))}
