"""The retry budget: an outage is not amplified (P2).

Finagle's token form: every request deposits a share, every extra attempt for a server failure withdraws one; a small
reserve lets a quiet user retry at all. Tokens age out, so yesterday's calm does not pay for today's storm.
"""

from __future__ import annotations

import math

RATIO = 0.2
"""Extra attempts per request: 20 % (Envoy's and Finagle's default)."""

RESERVE = 3.0
"""Extra attempts that are always there (Envoy: min 3; the contract's `retry_budget`)."""

TTL = 10.0
"""Seconds after which a deposit has decayed to 1/e (Finagle keeps deposits 10 s)."""


class RetryBudget:
    """Pays for extra attempts after server failures. `now` is in monotonic seconds and never goes back."""

    def __init__(self, *, ratio: float = RATIO, reserve: float = RESERVE, ttl: float = TTL) -> None:
        self.ratio, self.reserve, self.ttl = ratio, reserve, ttl
        self._deposited = 0.0
        self._reserve_left = reserve
        self._at = 0.0

    def deposit(self, now: float) -> None:
        """A client request came in."""
        self._age(now)
        self._deposited += self.ratio

    def withdraw(self, now: float) -> bool:
        """Pay for one extra attempt; False: there is nothing left, and nothing changed."""
        self._age(now)
        if self._deposited + self._reserve_left < 1:
            return False
        from_deposits = min(1.0, self._deposited)
        self._deposited -= from_deposits
        self._reserve_left -= 1 - from_deposits
        return True

    def balance(self, now: float) -> float:
        """Extra attempts that could be paid now: its whole part."""
        self._age(now)
        return self._deposited + self._reserve_left

    def _age(self, now: float) -> None:
        passed = max(0.0, now - self._at)
        self._deposited *= math.exp(-passed / self.ttl)
        # The reserve refills over the same time in which deposits fade.
        self._reserve_left = min(self.reserve, self._reserve_left + self.reserve * passed / self.ttl)
        self._at = max(self._at, now)
