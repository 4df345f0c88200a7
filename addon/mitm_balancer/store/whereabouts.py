"""Which account a resource or a session belongs to. Keys are fingerprints, never ids."""

from __future__ import annotations

from mitm_balancer.store.holding import Holding
from mitm_balancer.store.schema import OWNERS_SECRET
from mitm_balancer.store.writer import Write


class Whereabouts(Holding):
    """Batched and bounded; the newest of a key counts."""

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
