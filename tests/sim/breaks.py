"""Faults that are put into the core on purpose: what the simulation must notice, and by which promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from mitm_balancer.core import dispatch, enough
from mitm_balancer.core.admission import Admission, Seat
from mitm_balancer.core.breaker import Breaker
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.dispatch import Dispatch
from mitm_balancer.core.health import Health
from mitm_balancer.core.priority import Priority, Selection
from mitm_balancer.core.scope import ScopeLearner
from mitm_balancer.core.verdict import Outcome
from mitm_balancer.store.rows import KnownRows

type Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Break:
    """One fault."""

    promise: str
    scenario: str
    what: str
    put: Patch
    days: float | None = None
    """None: the scenario's own."""


def _probe_slots_are_kept(m: pytest.MonkeyPatch) -> None:
    m.setattr(Health, "cancelled", lambda self, name: None)


def _cooldowns_end_early(m: pytest.MonkeyPatch) -> None:
    seconds = Health._seconds

    def shorter(outcome: Outcome, strikes: int) -> float | None:
        found = seconds(outcome, strikes)
        return None if found is None else found * 0.8

    m.setattr(Health, "_seconds", staticmethod(shorter))


def _restarts_forget(m: pytest.MonkeyPatch) -> None:
    m.setattr(Health, "restore", lambda self, cooldown: False)


def _an_outage_is_never_seen(m: pytest.MonkeyPatch) -> None:
    m.setattr(ScopeLearner, "provider_wide", lambda self, provider, now: False)


def _every_failure_is_an_outage(m: pytest.MonkeyPatch) -> None:
    m.setattr(ScopeLearner, "provider_wide", lambda self, provider, now: True)


def _retries_are_free(m: pytest.MonkeyPatch) -> None:
    m.setattr(RetryBudget, "withdraw", lambda self, now: True)


def _more_extras(m: pytest.MonkeyPatch) -> None:
    m.setattr(enough, "SERVER_EXTRA", 4)


def _refusals_are_paid_for(m: pytest.MonkeyPatch) -> None:
    m.setattr(Outcome, "definite_refusal", property(lambda self: False))


def _silence_is_safe(m: pytest.MonkeyPatch) -> None:
    m.setattr(Outcome, "ambiguous", property(lambda self: False))


def _capacity_benches(m: pytest.MonkeyPatch) -> None:
    seconds = Health._seconds

    def benched(outcome: Outcome, strikes: int) -> float | None:
        return 60.0 if outcome.capacity else seconds(outcome, strikes)

    m.setattr(Health, "_seconds", staticmethod(benched))


def _the_longest_wait_is_told(m: pytest.MonkeyPatch) -> None:
    soonest = dispatch.soonest

    def later(*of_whom: Any, **options: Any) -> float | None:
        found = soonest(*of_whom, **options)
        return None if found is None else found * 2 + 60

    m.setattr(dispatch, "soonest", later)


def _breakers_never_close(m: pytest.MonkeyPatch) -> None:
    m.setattr(Breaker, "good", lambda self, policy, now: self.give_back())


def _the_last_one_is_ejected(m: pytest.MonkeyPatch) -> None:
    select = Priority.select

    def strict(self: Priority, model: str, health: Health, now: float, **more: Any) -> Selection:
        found = select(self, model, health, now, **more)
        return Selection(None, found.rejected) if found.because == "last one left" else found

    m.setattr(Priority, "select", strict)


def _an_own_row_is_read_again(m: pytest.MonkeyPatch) -> None:
    m.setattr(KnownRows, "unknown", lambda self, rows: list(rows))


def _leases_are_kept(m: pytest.MonkeyPatch) -> None:
    m.setattr(Dispatch, "close", Dispatch.cancelled)


def _it_goes_on(m: pytest.MonkeyPatch) -> None:
    m.setattr(Dispatch, "_may_go_on", lambda self, now: None)
    m.setattr(Seat, "take", lambda self, name: True)  # it would notice


def _no_slow_start(m: pytest.MonkeyPatch) -> None:
    m.setattr(Admission, "climbing", lambda self, name: False)


BREAKS = (
    Break("RAMP", "crowd", "an account that takes over gets all at once", _no_slow_start),
    Break("P6", "outage", "a client that left keeps its probe's slot", _probe_slots_are_kept),
    Break("P8", "quota", "cooldowns end before their time", _cooldowns_end_early),
    Break("P8", "crashes", "a restart forgets what was on disk", _restarts_forget),
    Break("P8", "crashes", "an own row is read again under another clock", _an_own_row_is_read_again),
    Break("P3", "outage", "an outage is never seen as one", _an_outage_is_never_seen),
    Break("P3", "network", "one account's failure is taken for an outage", _every_failure_is_an_outage),
    Break("P2", "outage", "extra attempts cost nothing", _retries_are_free),
    Break("P1", "outage", "four extra attempts after server failures", _more_extras),
    Break("P1", "minute", "definite refusals need the retry budget", _refusals_are_paid_for),
    Break("P5", "network", "silence counts as safe", _silence_is_safe),
    Break("P6", "outage", "a capacity code benches an account", _capacity_benches),
    Break("P11", "quota", "the client is told a longer wait than the true one", _the_longest_wait_is_told),
    Break("LIVE", "outage", "a breaker never closes", _breakers_never_close),
    Break("LIVE", "outage", "a breaker ejects the last account", _the_last_one_is_ejected),
    Break("LIVE", "calm", "a request that is over keeps its lease", _leases_are_kept, days=0.1),
    Break("P4", "calm", "after a success it goes on", _it_goes_on),
)
