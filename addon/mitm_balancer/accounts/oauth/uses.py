"""The notes about uses of refresh tokens, in the store: what a killed process leaves for the next one (P8).

Kept by a fingerprint of the token, not by account: a rename, a second alias or an old copy of a login that is imported
again changes nothing about a token that was used. Everything here blocks, and is on disk when it returns.
"""

from __future__ import annotations

import hashlib
import sqlite3

from mitm_balancer.accounts.oauth.rules import May, Use, may_use
from mitm_balancer.accounts.oauth.service import TokenService
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store

SPENT = "its refresh token was used before, by another program or an older copy of this login"

KEPT = 2000
"""Notes: some years of a handful of accounts."""

_BOUND = (
    "DELETE FROM token_uses WHERE dead = ? AND token NOT IN "
    "(SELECT token FROM token_uses WHERE dead = ? ORDER BY at DESC LIMIT ?)"
)


def fingerprint(service: TokenService, token: Secret) -> str:
    """Tells refresh tokens apart and gives nothing of them away: they are too long to be guessed."""
    return hashlib.sha256(f"mitm-balancer refresh {service.provider} {token.reveal()}".encode()).hexdigest()[:32]


class Uses:
    """All methods raise StoreError when the database cannot be written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, service: TokenService, token: Secret, account: str, now: float) -> tuple[May, str]:
        """Ask whether the token may be used and note that it now is, in one move. `now`: unix seconds."""
        key = fingerprint(service, token)

        def work(connection: sqlite3.Connection) -> tuple[May, str]:
            use = _find(connection, key)
            may, why = may_use(service, use, now)
            if may is May.YES:
                tries = 1 if use is None else use.tries + 1
                _put(connection, key, account, Use(now, tries))
            return may, why

        return self._store.transact(work)

    def failed(self, service: TokenService, token: Secret) -> None:
        """It was not used after all: nothing had left, or the answer says so."""
        key = fingerprint(service, token)
        self._store.transact(lambda connection: connection.execute("DELETE FROM token_uses WHERE token = ?", (key,)))

    def dead(self, service: TokenService, token: Secret, account: str, why: str, now: float) -> None:
        """It is never to be used again."""
        key = fingerprint(service, token)

        def work(connection: sqlite3.Connection) -> None:
            _put(connection, key, account, Use(now, 1, why))
            connection.execute(_BOUND, (SPENT, SPENT, KEPT))

        self._store.transact(work)

    def find(self, service: TokenService, token: Secret) -> Use | None:
        """The note about it, for people; None also when the database cannot be read."""
        found = self._store.read(
            "SELECT at, tries, dead FROM token_uses WHERE token = ?", (fingerprint(service, token),)
        )
        return Use(*found[0]) if found else None


def _find(connection: sqlite3.Connection, key: str) -> Use | None:
    row = connection.execute("SELECT at, tries, dead FROM token_uses WHERE token = ?", (key,)).fetchone()
    return None if row is None else Use(*row)


def _put(connection: sqlite3.Connection, key: str, account: str, use: Use) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO token_uses (token, account, at, tries, dead) VALUES (?, ?, ?, ?, ?)",
        (key, account, use.at, use.tries, use.dead),
    )
