"""Sessions: an agent's conversation stays on the account where its prompt cache lies.

A binding is made when a session's first request starts, and moves only when its account cannot serve; then it stays
where it went. A child agent begins where its parent is. Times are monotonic seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mitm_balancer.core.switching import Caches

CAP = 20_000
"""Sessions remembered, the least recently used goes first: at about 200 bytes each, 4 MB."""

TTL = 24 * 3600.0
"""Seconds since a session's last answer. No prompt cache lives longer than an hour, but signatures of reasoning may be
the account's (wire-facts 25.1: C1, C2), and a conversation is often resumed the next morning."""

SHUNNED = 60.0
"""Seconds for which a session's next request rather goes elsewhere, after its account cut it short: a client that comes
back comes at once."""

REFRESH = 600.0
"""Seconds after which seeing a session again is worth a write."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What names a session; fingerprints, never what the client sent."""

    own: str
    kin: tuple[str, ...] = ()
    """The session that started it, where that is known."""


class Bindings:
    """Session -> account."""

    def __init__(self, *, cap: int = CAP, ttl: float = TTL) -> None:
        self.cap, self.ttl = cap, ttl
        self._known: dict[str, tuple[str, float]] = {}
        self._written: dict[str, float] = {}
        self._caches: dict[str, Caches] = {}
        self._shunned: dict[str, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def counts(self, now: float) -> Counter[str]:
        """How many sessions each account has; looks at all of them."""
        return Counter(account for account, at in self._known.values() if now - at < self.ttl)

    def find(self, keys: SessionKeys, now: float) -> str | None:
        """The account of the session, else of its kin."""
        for key in (keys.own, *keys.kin):
            found = self._known.get(key)
            if found is not None and now - found[1] < self.ttl:
                return found[0]
        return None

    def bind(self, key: str, account: str, now: float) -> None:
        """Tie it to that account from now on."""
        self._known.pop(key, None)
        self._shunned.pop(key, None)
        self._known[key] = (account, now)
        while len(self._known) > self.cap:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._written.pop(oldest, None)
            self._caches.pop(oldest, None)

    def used(self, key: str, account: str, model: str, prompt: int, life: float, now: float) -> None:
        """An answer to a session that is known: its prompt is in the account's cache now, for `life` seconds."""
        if key in self._known:
            self._caches.setdefault(key, Caches()).used(account, model, prompt, life, now)

    def warm(self, key: str, account: str, now: float) -> int:
        """Tokens of the session's prompts that lie warm there."""
        caches = self._caches.get(key)
        return 0 if caches is None else caches.warm(account, now)

    def rename(self, old: str, new: str) -> None:
        """The account has another name now."""
        for key, (account, at) in self._known.items():
            if account == old:
                self._known[key] = (new, at)

    def forget(self, key: str) -> None:
        """It is tied to nothing."""
        self._known.pop(key, None)

    def shun(self, key: str, account: str, now: float) -> None:
        """The session's next request rather goes elsewhere; once."""
        self._shunned = {k: (name, at) for k, (name, at) in self._shunned.items() if now - at < SHUNNED}
        self._shunned[key] = (account, now)

    def shunned(self, key: str, now: float) -> str | None:
        """The account that it shuns."""
        name, at = self._shunned.get(key, (None, 0.0))
        return name if now - at < SHUNNED else None

    def worth_writing(self, key: str, now: float) -> bool:
        """Whether what was written of it is too old; it counts as written then."""
        written = self._written.get(key)
        if written is not None and now - written < REFRESH:
            return False
        self._written[key] = now
        return True

    def restore(self, rows: Iterable[tuple[str, str, float]], now: float) -> None:
        """Take (key, account, when) from before a restart, oldest first. What is known here stays."""
        for key, account, at in rows:
            if key not in self._known and now - at < self.ttl:
                self.bind(key, account, min(at, now))


type Keep = Callable[[str, str], None]


class Tie:
    """One request's session. `keep` writes (key, account) down. `begins`: it is new, whatever is known of its key."""

    def __init__(
        self, bindings: Bindings, keys: SessionKeys, keep: Keep = lambda *_: None, *, begins: bool = False
    ) -> None:
        self.bindings, self.keys, self.keep = bindings, keys, keep
        self._new = begins
        self.begins_turn: Callable[[], bool] = lambda: False
        """Whether the request is the first of a turn; the driver knows how to read that. Asked for rarely."""

    def home(self, now: float) -> str | None:
        """The account that it is tied to."""
        home = None if self._new else self.bindings.find(self.keys, now)
        return None if home is not None and home == self.shunned(now) else home

    def shun(self, account: str, now: float) -> None:
        """That account has cut the session short, by no fault that benches it: the next request tries another one."""
        self.bindings.shun(self.keys.own, account, now)

    def shunned(self, now: float) -> str | None:
        """The account that is not to be the next one, if there is another."""
        return self.bindings.shunned(self.keys.own, now)

    def begins(self, account: str, now: float) -> None:
        """An attempt of an unbound session starts: others of it, at this moment, are to follow."""
        if self.home(now) is None:
            self.bindings.bind(self.keys.own, account, now)

    def served(self, account: str, now: float, *, moves: bool) -> None:
        """It was served there. `moves`: the account that it was tied to cannot serve."""
        home = self.home(now)
        if home not in (None, account) and not moves:
            return  # served elsewhere for want of a slot
        moved = home != account and not self._new
        self.bindings.bind(self.keys.own, account, now)
        if self.bindings.worth_writing(self.keys.own, now) or moved:
            self.keep(self.keys.own, account)

    def used(self, account: str, model: str, prompt: int, life: float, now: float) -> None:
        """The answer has told how many tokens its prompt had; the cache keeps them for `life` seconds."""
        self.bindings.used(self.keys.own, account, model, prompt, life, now)

    def cold_tokens(self, account: str, now: float) -> int:
        """What would have to be read again if it left that account now."""
        return self.bindings.warm(self.keys.own, account, now)

    def between_turns(self) -> bool:
        return self.begins_turn()
