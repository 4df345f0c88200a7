"""The breaker of one account: our own judgement after repeated faults.

    closed --faults--> open --time--> half-open --good probes--> closed
                         ^------------- bad probe -----'

Faults open it when they come in a row (`failure_threshold`) or when they are too large a share of the last
`sliding_window_size` answers. Times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The contract's `circuit_breaker`. Seconds. (`success_threshold` is 2 in the contract, which sets it.)"""

    failure_threshold: int = 5
    half_open_after: float = 30.0
    max_open: float = 300.0
    """Each bad probe doubles the time, up to this (Envoy's max_ejection_time)."""
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
    trips: int = 0
    probing: int = 0
    good_probes: int = 0

    def fault(self, policy: BreakerPolicy, now: float) -> None:
        self.in_a_row += 1
        self._remember(True, policy)
        # Requests that were under way when it opened say nothing new: only a probe makes it stay open for longer.
        if self.probing or (self.opened is None and self._too_many(policy)):
            self.trips += 1
            self.opened = now
            self.good_probes = 0
        self.probing = max(0, self.probing - 1)

    def good(self, policy: BreakerPolicy) -> None:
        """An answer that shows that the account is reached and works."""
        self.in_a_row = 0
        self._remember(False, policy)
        if self.opened is None:
            return
        self.good_probes += 1
        self.give_back()
        if self.good_probes >= policy.success_threshold:
            self.opened, self.trips, self.good_probes, self.probing = None, 0, 0, 0
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
        return self.opened + min(policy.half_open_after * 2.0 ** max(0, self.trips - 1), policy.max_open)

    def _remember(self, fault: bool, policy: BreakerPolicy) -> None:
        size = policy.sliding_window_size
        self.outcomes = ((self.outcomes << 1) | fault) & ((1 << size) - 1)
        self.count = min(self.count + 1, size)

    def _too_many(self, policy: BreakerPolicy) -> bool:
        if self.in_a_row >= policy.failure_threshold:
            return True
        full = self.count >= policy.sliding_window_size
        return full and self.outcomes.bit_count() / self.count >= policy.failure_rate_threshold
