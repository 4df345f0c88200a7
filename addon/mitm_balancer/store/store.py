"""The store: what survives a restart, and the bus between the proxy and the CLI.

Writes return at once and never raise (P9); reads go to the disk and may take up to `database.BUSY` seconds, so the
event loop calls them through `asyncio.to_thread`. Reads see what this process has written, also while it waits.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from mitm_balancer.store.database import Database
from mitm_balancer.store.history import History
from mitm_balancer.store.whereabouts import Whereabouts
from mitm_balancer.store.writer import Writer

logger = logging.getLogger(__name__)

TRACES_KEPT = 5000
EVENTS_KEPT = 10_000
OWNERS_KEPT = 20_000
BINDINGS_KEPT = 20_000

USAGE_DAYS_KEPT = 400
"""A year, to compare with."""

WINDOW_SECONDS_KEPT = 35 * 24 * 3600
"""The longest windows are monthly: one that was not seen for longer says nothing any more."""

_BOUND = "DELETE FROM {0} WHERE seq <= (SELECT seq FROM {0} ORDER BY seq DESC LIMIT 1 OFFSET {1})"
_HOUSEKEEPING = {
    "trace": _BOUND.format("traces", TRACES_KEPT),
    "event": _BOUND.format("events", EVENTS_KEPT),
    "owner": _BOUND.format("owners", OWNERS_KEPT),
    "binding": _BOUND.format("bindings", BINDINGS_KEPT),
    "usage": f"DELETE FROM usage WHERE day < date('now', '-{USAGE_DAYS_KEPT} days')",  # noqa: S608 - our own number
    "snapshot": f"DELETE FROM usage_snapshots WHERE fetched_at < strftime('%s', 'now') - {WINDOW_SECONDS_KEPT}",  # noqa: S608
    "window": f"DELETE FROM limit_windows WHERE seen_at < strftime('%s', 'now') - {WINDOW_SECONDS_KEPT}",  # noqa: S608
}


class Store(Whereabouts, History):
    """Made by `open`, once per process."""

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
