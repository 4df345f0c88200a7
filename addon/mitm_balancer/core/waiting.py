"""One request's waits: for a free slot, and for the end of somebody else's probe. Pure: `now` is monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass

from mitm_balancer.core.admission import Seat
from mitm_balancer.core.health import Health
from mitm_balancer.core.steps import DispatchPolicy, Queue, Step, Stop

PROBE_PATIENCE = 10.0
"""Seconds that a request waits in all for the end of others' probes; then it goes itself."""

LOOK_AGAIN = 2.0
"""Seconds after which a request that waits for a slot looks whether another account has come back meanwhile."""


@dataclass(slots=True)
class Waiting:
    """Between `begin` and `end` the request decides what to do next."""

    policy: DispatchPolicy
    started: float
    seat: Seat | None = None
    """Its place among all that runs; None: no limits."""
    queued: float = 0.0
    """Seconds spent waiting, in all."""
    _since: float | None = None
    _probe_since: float | None = None
    _next_step: float | None = None
    """Seconds until an account that takes over may have one more."""

    @property
    def full(self) -> bool:
        """Whether nobody at all may start now."""
        return self.seat is not None and self.seat.full

    def begin(self, now: float) -> None:
        """The slot that is reserved for it is free while it decides."""
        if self.seat is not None:
            self._next_step = self.seat.climb(now)
            self.seat.look()

    def end(self, step: Step, now: float) -> None:
        """It has decided."""
        if self.seat is not None:
            self.seat.looked(waits=isinstance(step, Queue) and step.for_slot)
        if not isinstance(step, Queue) and self._since is not None:
            self.queued += now - self._since
            self._since = None

    def queue(self, names: frozenset[str] | None, now: float) -> Queue | Stop:
        """Wait for a slot with one of these accounts (None: with any)."""
        left = self.policy.deadline - (now - self.started)
        if self.seat is None or left <= 0:
            return Stop("no slot came free before the deadline", overloaded=True)
        if not self.seat.wait(names):
            return Stop("too much runs already and the queue is full", overloaded=True)
        self._waits(now)
        return Queue(min(left, LOOK_AGAIN, self._next_step or LOOK_AGAIN), "waiting for a free slot")

    def probe(self, name: str, health: Health, now: float) -> Queue | None:
        """Nobody is left but one whose probe is under way: its end is worth a wait. None: not for any longer."""
        self._probe_since = now if self._probe_since is None else self._probe_since
        left = min(self._probe_since + PROBE_PATIENCE, self.started + self.policy.deadline) - now
        if left <= 0 or self.seat is None:
            return None
        health.tell(name, self.seat.wake)
        self._waits(now)
        return Queue(left, "waiting for the end of a probe", for_slot=False)

    def takes_over(self, name: str, now: float) -> None:
        """It goes to another account than the one in use, which is filled step by step from now on."""
        if self.seat is not None:
            self.seat.takes_over(name, now)
            self._next_step = self.seat.climb(now)

    def take(self, name: str, now: float) -> Queue | Stop | None:
        """Take a lease; None: it is taken. A slow start makes nobody fail: it is skipped when the queue is full."""
        if self.seat is None or self.seat.take(name):
            return None
        step = self.queue(frozenset({name}), now)
        return None if isinstance(step, Stop) and self.seat.take(name, at_once=True) else step

    def leave(self) -> None:
        """What goes on needs no slot, or nothing goes on. Any number of times."""
        if self.seat is not None:
            self.seat.leave()

    def _waits(self, now: float) -> None:
        self._since = now if self._since is None else self._since
