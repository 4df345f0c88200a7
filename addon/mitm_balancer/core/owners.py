"""Who made what: a response, a file, a container exists for one account only, and asking another is a sure 404.

Pure: `now` is wall-clock seconds, because what is kept here outlives the process. Ids come in as fingerprints; the map
never holds one in the clear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

CAP = 20_000
"""Resources remembered, the least recently seen goes first: at about 200 bytes each, 4 MB."""

TTL = 30 * 86400.0
"""Seconds since a resource was last seen to work. OpenAI keeps stored responses for 30 days, others keep less."""

REFRESH = 86400.0
"""Seconds after which seeing a resource again is worth a write: a file in daily use never grows old."""


class Owners:
    """Fingerprint of a resource id -> name of the account that made it."""

    __slots__ = ("_known", "cap", "ttl")

    def __init__(self, *, cap: int = CAP, ttl: float = TTL) -> None:
        self.cap = cap
        self.ttl = ttl
        self._known: dict[str, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"<Owners {len(self._known)} of {self.cap}>"

    def learn(self, key: str, account: str, now: float) -> bool:
        """`account` has just answered for it, so it knows it. Tells whether that is news worth keeping."""
        before = self._known.pop(key, None)
        news = before is None or before[0] != account or not 0 <= now - before[1] < REFRESH
        self._known[key] = (account, now if before is None or news else before[1])
        while len(self._known) > self.cap:
            del self._known[next(iter(self._known))]
        return news

    def find(self, key: str, now: float) -> str | None:
        """The account that made it; None: nobody knows, or it is too long ago."""
        found = self._known.pop(key, None)
        if found is None or now - found[1] >= self.ttl:
            return None
        self._known[key] = found
        return found[0]

    def rename(self, old: str, new: str) -> None:
        """The account has another name now."""
        for key, (account, at) in self._known.items():
            if account == old:
                self._known[key] = (new, at)

    def restore(self, rows: Iterable[tuple[str, str, float]], now: float) -> None:
        """Take (key, account, when it was learnt) from before a restart, oldest first. What is known here stays."""
        for key, account, at in rows:
            if key not in self._known and now - at < self.ttl:
                self.learn(key, account, at)


def fingerprint(secret: bytes, provider: str, resource: str) -> str:
    """A resource id as it is kept: 32 hex digits that tell nothing without `secret` (at most 64 bytes)."""
    text = f"{provider}\0{resource}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=secret, digest_size=16).hexdigest()
