"""Admission: limits hold, nobody is forgotten, sessions take turns."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mitm_balancer.core.admission import Admission, AdmissionPolicy, Seat, Ticket

ACCOUNTS = "abc"


@dataclass
class Waiter:
    """Somebody in the queue, and whether it was woken."""

    admission: Admission
    session: str = ""
    interactive: bool = True
    wants: frozenset[str] | None = None
    woken: int = 0
    ticket: Ticket = field(init=False)

    def __post_init__(self) -> None:
        self.ticket = Ticket(self.session, self.interactive, self.wake, self.wants)
        self.queued = self.admission.enqueue(self.ticket)

    def wake(self) -> None:
        self.woken += 1


def full(limit: int = 1, **policy: int) -> Admission:
    admission = Admission(AdmissionPolicy(limit, **policy))
    for _ in range(limit):
        assert admission.take("a")
    return admission


def test_the_limits() -> None:
    """One account's, and that of all; a refused lease changes nothing."""
    admission = Admission(AdmissionPolicy(3), {"a": 1})
    assert [admission.take(name) for name in "aabbb"] == [True, False, True, True, False]
    assert (admission.total, admission.running("a"), admission.at_limit("a"), admission.full) == (3, 1, True, True)
    assert not admission.at_limit("b"), "no limit of its own"


def test_a_free_slot_goes_to_the_queue_and_not_to_newcomers() -> None:
    """Nobody barges in between the end of one and the waking of the other."""
    admission = full()
    waiter = Waiter(admission)
    admission.give_back("a")
    assert waiter.woken == 1
    assert not admission.take("a")
    admission.unreserve(waiter.ticket)
    assert admission.take("b")
    admission.withdraw(waiter.ticket)
    assert admission.total == 1


def test_sessions_take_turns() -> None:
    """However many one of them has waiting; within a session the oldest goes first."""
    admission = full()
    waiters = [Waiter(admission, session) for session in ("x", "x", "x", "y", "z")]
    order = []
    for _ in waiters:
        admission.give_back("a")
        [number] = [n for n, w in enumerate(waiters) if w.ticket.granted is not None]
        order.append(number)
        admission.unreserve(waiters[number].ticket)
        assert admission.take("a")
        admission.withdraw(waiters[number].ticket)
    assert order == [0, 3, 4, 1, 2]


def test_interactive_before_background() -> None:
    """Somebody watches a stream; nobody watches a batch."""
    admission = full()
    background, interactive = Waiter(admission, "x", interactive=False), Waiter(admission, "y")
    admission.give_back("a")
    assert (background.woken, interactive.woken) == (0, 1)


def test_a_slot_goes_to_the_first_who_can_use_it() -> None:
    """And the others keep their place."""
    admission = Admission(AdmissionPolicy(9), {"a": 1, "b": 1})
    for name in "ab":
        assert admission.take(name)
    for_a, for_b = Waiter(admission, "x", wants=frozenset("a")), Waiter(admission, "y", wants=frozenset("b"))
    admission.give_back("b")
    assert (for_a.woken, for_b.woken) == (0, 1)
    assert for_b.ticket.granted == "b"


@pytest.mark.parametrize("limit", [0, 3])
def test_a_full_queue_refuses_at_once(limit: int) -> None:
    """And takes again when there is room."""
    admission = full(queue_limit=limit)
    waiters = [Waiter(admission, str(n)) for n in range(limit + 1)]
    assert [w.queued for w in waiters] == [True] * limit + [False]
    if limit:
        admission.withdraw(waiters[0].ticket)
        assert Waiter(admission, "new").queued


def test_under_pressure_the_queue_is_for_all() -> None:
    """From the threshold on no background, and nobody's second."""
    admission = full(backpressure_threshold=2)
    assert [Waiter(admission, s).queued for s in ("x", "x", "x", "y")] == [True, True, False, True]
    assert not Waiter(admission, "z", interactive=False).queued


def test_more_room_after_a_reload_is_offered() -> None:
    """Nobody has to end first."""
    admission = full()
    waiter = Waiter(admission)
    admission.configure(AdmissionPolicy(2), {})
    assert waiter.woken == 1


def test_less_room_after_a_reload_cuts_nobody() -> None:
    """It only lets nobody in."""
    admission = full(3)
    admission.configure(AdmissionPolicy(1), {})
    for _ in range(2):
        admission.give_back("a")
        assert not admission.take("a")
    admission.give_back("a")
    assert admission.take("a")


class Seats(RuleBasedStateMachine):
    """Requests come, look, wait, run, end and hang up in any order."""

    @initialize(limit=st.integers(1, 4), each=st.integers(1, 3), queue=st.integers(0, 6))
    def begin(self, limit: int, each: int, queue: int) -> None:
        self.limit, self.queue = limit, queue
        self.admission = Admission(AdmissionPolicy(limit, queue, 4), dict.fromkeys(ACCOUNTS, each))
        self.each = each
        self.waiting: dict[int, tuple[Seat, str]] = {}
        self.running: dict[int, Seat] = {}
        self.woken: set[int] = set()
        self.next_id = 0

    @rule(
        session=st.sampled_from(["x", "y", ""]),
        interactive=st.booleans(),
        wants=st.sampled_from(["a", "ab", "abc", "c"]),
    )
    def comes(self, session: str, interactive: bool, wants: str) -> None:
        number = self.next_id
        self.next_id += 1
        seat = Seat(self.admission, session=session, interactive=interactive, wake=lambda: self.woken.add(number))
        self.looks(number, seat, wants)

    @precondition(lambda self: self.woken)
    @rule(pick=st.integers(0, 99))
    def wakes(self, pick: int) -> None:
        number = sorted(self.woken)[pick % len(self.woken)]
        self.woken.discard(number)
        if number in self.waiting:
            self.looks(number, *self.waiting.pop(number))

    @precondition(lambda self: self.waiting)
    @rule(pick=st.integers(0, 99), wants=st.none() | st.sampled_from(["a", "bc"]))
    def looks_again(self, pick: int, wants: str | None) -> None:
        """Unasked, and perhaps for others than before."""
        number = sorted(self.waiting)[pick % len(self.waiting)]
        seat, before = self.waiting.pop(number)
        self.looks(number, seat, wants or before)

    def looks(self, number: int, seat: Seat, wants: str) -> None:
        """What `Dispatch.next` does."""
        seat.look()
        free = [name for name in wants if not self.admission.at_limit(name)]
        if free and not seat.full:
            assert seat.take(free[-1])
            self.running[number] = seat
            seat.looked(waits=False)
        elif seat.wait(None if free else frozenset(wants)):
            self.waiting[number] = (seat, wants)
            seat.looked(waits=True)
        else:
            seat.looked(waits=False)

    @precondition(lambda self: self.running)
    @rule(pick=st.integers(0, 99), twice=st.booleans())
    def ends(self, pick: int, twice: bool) -> None:
        seat = self.running.pop(sorted(self.running)[pick % len(self.running)])
        seat.leave()
        if twice:
            seat.leave()

    @precondition(lambda self: self.waiting)
    @rule(pick=st.integers(0, 99))
    def hangs_up(self, pick: int) -> None:
        number = sorted(self.waiting)[pick % len(self.waiting)]
        self.waiting.pop(number)[0].leave()

    @rule(limit=st.integers(1, 4))
    def reload(self, limit: int) -> None:
        self.limit = limit
        self.admission.configure(AdmissionPolicy(limit, self.queue, 4), dict.fromkeys(ACCOUNTS, self.each))

    @invariant()
    def what_is_counted_is_what_runs(self) -> None:
        if not hasattr(self, "admission"):
            return
        tickets = [t for line in self.admission._queue.values() for t in line]
        reserved = [t.granted for t in tickets if t.granted is not None]
        assert self.admission.total == len(self.running) + len(reserved)
        for name in ACCOUNTS:
            held = sum(seat.lease == name for seat in self.running.values())
            assert self.admission.running(name) == held + reserved.count(name) <= self.each
        assert len(tickets) == len(self.waiting) <= self.queue

    @invariant()
    def nobody_sleeps_beside_a_free_slot(self) -> None:
        """A lost wake-up would hang a client until its deadline."""
        if not hasattr(self, "admission"):
            return
        for number, (seat, _) in self.waiting.items():
            ticket = seat._ticket
            assert ticket is not None
            if ticket.granted is not None:
                assert number in self.woken, "reserved, and not told"
            elif self.admission.total < self.limit:
                assert ticket.wants is not None, "there is room for anybody"
                assert all(self.admission.at_limit(name) for name in ticket.wants)

    def teardown(self) -> None:
        if not hasattr(self, "admission"):
            return
        for seat in [*self.running.values(), *(seat for seat, _ in self.waiting.values())]:
            seat.leave()
        assert (self.admission.total, self.admission.waiting) == (0, 0)
        assert self.admission._running == {}


Seats.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestSeats = Seats.TestCase
