"""The breaker of one account: our own judgement after repeated faults.

    closed --faults--> open --time--> half-open --good probes--> closed
                         ^------------- bad probe -----'

Faults open it when they come in a row (`failure_threshold`) or when they are too large a share of the last
`sliding_window_size` answers. The past fades: what happened before a long silence says nothing about now, and the time
that it stays open, doubled by each ejection, is halved again by every stretch of health. Times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

FORGET = 600.0
"""Seconds of silence after which earlier answers say nothing any more (`vitals.HALF_LIFE`)."""

HEALTHY = 300.0
"""Seconds of a closed breaker by which one ejection is forgiven: as long as the longest takes (Envoy, which looks every
ten seconds, forgives one a look; its hosts have thousands of requests to prove themselves by, an account has few)."""

SPREAD = 0.1
"""An ejection lasts up to 10 % longer: breakers that opened together do not probe together."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The contract's `circuit_breaker`. Seconds. (`success_threshold` is 2 in the contract, which sets it.)"""

    failure_threshold: int = 5
    half_open_after: float = 30.0
    max_open: float = 300.0
    """Each ejection doubles the time, up to this (Envoy's max_ejection_time)."""
    failure_rate_threshold: float = 0.5
    sliding_window_size: int = 10
    half_open_max_probes: int = 1
    success_threshold: int = 1


@dataclass(slots=True)
class Breaker:
    """The state; the policy comes with each call, because a reload may change it."""

    in_a_row: int = 0
    outcomes: int = 0
    """The last answers as bits, 1 is a fault."""
    count: int = 0
    opened: float | None = None
    closed: float = 0.0
    """When it closed for the last time."""
    trips: int = 0
    spread: float = 0.0
    """Of this ejection, 0 to 1."""
    probing: int = 0
    good_probes: int = 0
    heard: float = 0.0
    """When the last answer or fault was counted."""

    def fault(self, policy: BreakerPolicy, now: float, spread: float = 0.0) -> None:
        """`spread` is a random number from 0 to 1."""
        self._fade(now)
        self.in_a_row += 1
        self._remember(True, policy)
        # Requests that were under way when it opened say nothing new: only a probe makes it stay open for longer.
        if self.probing or (self.opened is None and self._too_many(policy)):
            if self.opened is None:
                self.trips = max(0, self.trips - int((now - self.closed) / HEALTHY))
            self.trips += 1
            self.opened, self.spread = now, spread
            self.good_probes = 0
        self.probing = max(0, self.probing - 1)

    def unproven(self, now: float) -> None:
        """The account was not reached, and nobody knows by whose fault: a probe is to be made again, no later."""
        if self.probing:
            self.opened = now
            self.good_probes = 0
        self.give_back()

    def good(self, policy: BreakerPolicy, now: float) -> None:
        """An answer that shows that the account is reached and works."""
        self._fade(now)
        self.in_a_row = 0
        self._remember(False, policy)
        if self.opened is None:
            return
        self.good_probes += 1
        self.give_back()
        if self.good_probes >= policy.success_threshold:
            self.opened, self.closed, self.good_probes, self.probing = None, now, 0, 0
            self.outcomes = self.count = 0

    def take(self, policy: BreakerPolicy) -> bool:
        """An attempt starts; whether it is a probe and now holds a slot for it."""
        if self.opened is None or self.probing >= policy.half_open_max_probes:
            return False
        self.probing += 1
        return True

    def give_back(self) -> None:
        """A probe ended that proved nothing."""
        self.probing = max(0, self.probing - 1)

    def until(self, policy: BreakerPolicy) -> float | None:
        """When it turns half-open; None: it is closed."""
        if self.opened is None:
            return None
        span = min(policy.half_open_after * 2.0 ** min(30, max(0, self.trips - 1)), policy.max_open)
        return self.opened + span * (1 + SPREAD * self.spread)

    def _fade(self, now: float) -> None:
        if now - self.heard > FORGET:
            self.in_a_row = self.outcomes = self.count = 0
        self.heard = now

    def _remember(self, fault: bool, policy: BreakerPolicy) -> None:
        size = policy.sliding_window_size
        self.outcomes = ((self.outcomes << 1) | fault) & ((1 << size) - 1)
        self.count = min(self.count + 1, size)

    def _too_many(self, policy: BreakerPolicy) -> bool:
        if self.in_a_row >= policy.failure_threshold:
            return True
        full = self.count >= policy.sliding_window_size
        return full and self.outcomes.bit_count() / self.count >= policy.failure_rate_threshold
