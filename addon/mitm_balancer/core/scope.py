"""Scope is learnt (P3): is it this account, or the provider?

Two or more accounts of one provider with a server or capacity failure within ten seconds: it is the provider, and
rotating would only spread the load of an outage over every account and lose every prompt cache.
"""

from __future__ import annotations

WINDOW = 10.0
"""Seconds (P3)."""

ACCOUNTS = 2


class ScopeLearner:
    """Remembers the last server failure of each account, per provider. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, float]] = {}

    def failed(self, provider: str, name: str, now: float) -> None:
        """A server or capacity failure; definite refusals never count here."""
        self._seen.setdefault(provider, {})[name] = now

    def succeeded(self, provider: str) -> None:
        """One account that works is proof against an outage."""
        self._seen.pop(provider, None)

    def provider_wide(self, provider: str, now: float) -> bool:
        """Whether it is the provider."""
        seen = self._seen.get(provider)
        return seen is not None and sum(now - at <= WINDOW for at in seen.values()) >= ACCOUNTS
