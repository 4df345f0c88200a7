"""Admission: how much may run at once, and who is next when that is reached.

A *lease* is one running attempt, from selection until its answer has ended. A request that finds no free slot waits
with a *ticket* in a bounded queue: sessions take turns, and within a session the oldest goes first. A slot that comes
free is reserved for the ticket whose turn it is before anybody else can see it, so nobody barges in.
An account that takes over is filled step by step (`ramp`): whoever wants to go there waits in the same queue.
Pure: `now` is monotonic seconds; waking is a callback of the driver's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mitm_balancer.core.changes import Changes
from mitm_balancer.core.ramp import Ramps


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """The contract's limits."""

    concurrency_limit: int = 64
    queue_limit: int = 100
    backpressure_threshold: int = 50
    """So many waiting, and background requests and a session's second one are refused: the queue is for all."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A place in the queue."""

    session: str
    """Empty: unknown; all of those take turns as one."""
    interactive: bool
    wake: Callable[[], None]
    wants: frozenset[str] | None = None
    """The accounts that would do; None: any."""
    granted: str | None = None
    """The account of the slot that is reserved for it; empty: of whichever it likes. None: it waits."""


@dataclass(slots=True)
class Admission:
    """Leases and the queue, of all providers together. Implements `load.Load`."""

    policy: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    limits: Mapping[str, int] = field(default_factory=dict)
    """Per account; one that is not there has none."""
    changes: Changes = field(default_factory=Changes)
    total: int = 0
    """Leases held and slots reserved."""
    ramps: Ramps = field(default_factory=Ramps)
    _running: dict[str, int] = field(default_factory=dict)
    _queue: dict[tuple[bool, str], list[Ticket]] = field(default_factory=dict)
    """(background, session) -> its tickets, oldest first; the one whose turn is next stands first."""

    def __repr__(self) -> str:
        return f"<Admission {self.total} of {self.policy.concurrency_limit} running, {self.waiting} waiting>"

    @property
    def waiting(self) -> int:
        return sum(len(tickets) for tickets in self._queue.values())

    @property
    def full(self) -> bool:
        """Whether the global limit is reached."""
        return self.total >= self.policy.concurrency_limit

    def running(self, name: str) -> int:
        return self._running.get(name, 0)

    def busy(self) -> Mapping[str, int]:
        """The accounts with work, and how much."""
        return self._running

    def at_limit(self, name: str) -> bool:
        limit = self.limits.get(name)
        return limit is not None and self.running(name) >= limit

    def climbing(self, name: str) -> bool:
        """Whether only its slow start keeps a request from it."""
        allowed = self.ramps.allowed.get(name)
        return allowed is not None and self.running(name) >= allowed and not self.full and not self.at_limit(name)

    def takes_over(self, name: str, now: float) -> None:
        """The account in use was left, and this one is next: it is filled step by step."""
        if self.running(name) + 1 < self._most(name):
            self.ramps.begin(name, self.running(name), now)

    def climb(self, now: float) -> None:
        """Time has passed: those that take over may have more."""
        if not self.ramps.allowed or not self.ramps.climb(now):
            return
        for name, allowed in list(self.ramps.allowed.items()):
            if allowed >= self._most(name):
                self.ramps.end(name)
        self.offer()

    def configure(self, policy: AdmissionPolicy, limits: Mapping[str, int]) -> None:
        """New limits. What runs goes on, also beyond them."""
        before, self.limits, self.policy = self.limits, limits, policy
        for name in before.keys() | limits.keys():
            if before.get(name) != limits.get(name):
                self.changes.note(name)
        self.offer()

    def take(self, name: str, *, at_once: bool = False) -> bool:
        """A lease; False: there is no free slot, and nothing has changed. `at_once`: a slow start is no reason."""
        if self.full or self.at_limit(name) or (not at_once and self.climbing(name)):
            return False
        self._count(name, 1)
        return True

    def give_back(self, name: str) -> None:
        """The lease ends."""
        self._count(name, -1)
        self.offer()

    def enqueue(self, ticket: Ticket) -> bool:
        """Wait; False: the queue is full for this one."""
        waiting, mine = self.waiting, self._queue.get(_line(ticket), [])
        pressed = waiting >= self.policy.backpressure_threshold and (not ticket.interactive or bool(mine))
        if waiting >= self.policy.queue_limit or pressed:
            return False
        self._queue.setdefault(_line(ticket), []).append(ticket)
        self.offer()
        return True

    def withdraw(self, ticket: Ticket) -> None:
        """It waits no longer; a slot that was reserved for it goes to the next."""
        line = self._queue.get(_line(ticket), [])
        if ticket in line:
            line.remove(ticket)
            if not line:
                del self._queue[_line(ticket)]
        self.unreserve(ticket)
        self.offer()

    def unreserve(self, ticket: Ticket) -> None:
        """Its holder looks for itself now, in this very moment; it calls `withdraw` or `offer` when it has looked."""
        if ticket.granted is not None:
            self._count(ticket.granted, -1)
            ticket.granted = None

    def offer(self) -> None:
        """Reserve free slots for those whose turn it is."""
        while self._queue and not self.full and (ticket := self._next()) is not None:
            ticket.granted = self._slot(ticket)
            assert ticket.granted is not None
            self._count(ticket.granted, 1)
            line = _line(ticket)
            self._queue[line] = self._queue.pop(line)  # the others' turn first
            ticket.wake()

    def _next(self) -> Ticket | None:
        return next((t for t in self._in_turn() if t.granted is None and self._slot(t) is not None), None)

    def _in_turn(self) -> Iterator[Ticket]:
        """Interactive ones before background; the oldest of each session, then its second ones, and so on."""
        for background in (False, True):
            lines = [tickets for line, tickets in self._queue.items() if line[0] is background]
            for rank in range(max(map(len, lines), default=0)):
                yield from (tickets[rank] for tickets in lines if rank < len(tickets))

    def _most(self, name: str) -> int:
        return self.limits.get(name, self.policy.concurrency_limit)

    def _slot(self, ticket: Ticket) -> str | None:
        if ticket.wants is None:
            return ""
        return next((n for n in sorted(ticket.wants) if not self.at_limit(n) and not self.climbing(n)), None)

    def _count(self, name: str, step: int) -> None:
        self.total += step
        if not name:
            return
        running = self._running.get(name, 0) + step
        assert running >= 0, "a lease was given back twice"
        if running:
            self._running[name] = running
        else:
            del self._running[name]
        self.changes.note(name)


def _line(ticket: Ticket) -> tuple[bool, str]:
    return (not ticket.interactive, ticket.session)


class Seat:
    """One request's part: at most one lease, or one ticket."""

    __slots__ = ("_admission", "_interactive", "_lease", "_session", "_ticket", "_wake")

    def __init__(
        self, admission: Admission, *, session: str = "", interactive: bool = True, wake: Callable[[], None]
    ) -> None:
        self._admission = admission
        self._session, self._interactive, self._wake = session, interactive, wake
        self._lease: str | None = None
        self._ticket: Ticket | None = None

    @property
    def full(self) -> bool:
        """Whether nobody at all may start now."""
        return self._admission.full

    def wake(self) -> None:
        """What the request waits for may have come."""
        self._wake()

    @property
    def lease(self) -> str | None:
        return self._lease

    def look(self) -> None:
        """The request decides now: the slot reserved for it is free while it does. `looked` must follow at once."""
        if self._ticket is not None:
            self._admission.unreserve(self._ticket)

    def looked(self, *, waits: bool) -> None:
        """It has decided; what it did not take is for the others."""
        if self._ticket is None:
            return
        if waits:
            self._admission.offer()
        else:
            ticket, self._ticket = self._ticket, None
            self._admission.withdraw(ticket)

    def climb(self, now: float) -> float | None:
        """Time has passed; seconds until an account that takes over may have one more, None: none does."""
        self._admission.climb(now)
        return self._admission.ramps.next_step(now)

    def takes_over(self, name: str, now: float) -> None:
        """The request goes to another account than the one in use."""
        self._admission.takes_over(name, now)

    def take(self, name: str, *, at_once: bool = False) -> bool:
        """The lease for an attempt. `at_once`: also while the account is still being filled step by step."""
        assert self._lease is None, "one attempt at a time"
        if not self._admission.take(name, at_once=at_once):
            return False
        self._lease = name
        return True

    def wait(self, names: frozenset[str] | None) -> bool:
        """Queue for one of these accounts (None: any), or go on queueing; False: the queue is full."""
        if self._ticket is not None:
            self._ticket.wants = names
            return True
        ticket = Ticket(self._session, self._interactive, self._wake, names)
        if not self._admission.enqueue(ticket):
            return False
        self._ticket = ticket
        return True

    def leave(self) -> None:
        """Give up whatever is held; any number of times."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._admission.give_back(lease)
        self.looked(waits=False)
