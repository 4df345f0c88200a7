"""The observer: it knows what every provider said and did, and asks the promises after every step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from mitm_balancer.core import health as core_health
from mitm_balancer.core.dispatch import Attempt, Pause, Queue, Step
from mitm_balancer.core.health import Block, Health
from mitm_balancer.core.ramp import STEP
from mitm_balancer.core.verdict import Sent
from mitm_balancer.store.rows import CooldownRow
from sim import promises
from sim.machine import EPOCH, Machine
from sim.pace import Pace
from sim.plan import Kind
from sim.seen import Seen, Try

_LONGEST = {
    Kind.RATE: core_health.RATE_LIMIT_MAX,
    Kind.QUOTA: core_health.QUOTA_MAX,
    Kind.AUTH: core_health.AUTH_DEFAULT,
    Kind.FORBIDDEN: core_health.POLICY_DEFAULT,
    Kind.NO_MODEL: core_health.MODEL_DEFAULT,
}
"""Seconds for which a refusal without a stated wait may bench (DESIGN section 5)."""

LONGEST_RAMP = 8 * STEP
"""Seconds until an account with the largest limit in use here is filled."""

WINDOW = 10.0
"""P3."""

SLACK = 1e-3
"""Seconds: unix times are floats with a grain of 2e-7 s."""


@dataclass(slots=True)
class Known:
    """A provider's refusal. Nobody may come before `until`, and everybody may after `latest`; true seconds."""

    since: float
    until: float
    latest: float
    offset: float
    """The wall clock's error when it was heard."""
    shift: float = 0.0
    """By how much a restart under a clock that was set forward has shortened it: nobody can know better."""


class Watch:
    """One per simulation; told of every step of every process."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.log: deque[tuple[float, str, tuple[object, ...]]] = deque(maxlen=30)
        self.known: dict[tuple[str, str], list[Known]] = {}
        """By account and model ("" for all); of this process's life, and what it found on disk."""
        self.on_disk: dict[tuple[str, str], Known] = {}
        """The refusal that the stored row is about: a kill does not undo it."""
        self.failures: dict[str, dict[str, float]] = {}
        self.pace: dict[str, Pace] = {}
        self.open: dict[int, Seen] = {}
        self.health: Health | None = None
        self.steps = 0
        self.taken_over: dict[str, tuple[float, int]] = {}
        """When an account that was not the one in use began to take over, and what it had to do then."""
        self._begun: dict[str, float] = {}
        """When the last attempt on each account began."""

    @property
    def now(self) -> float:
        return self.machine.loop.now

    def note(self, text: str, *facts: object) -> None:
        """Remember for the story of a failure."""
        self.log.append((self.now, text, facts))

    # -- what happens ---------------------------------------------------------------------------------------------

    def booted(self, health: Health, accounts: list[str]) -> None:
        """A process has started and read the disk."""
        self.health = health
        self.failures.clear()
        self.pace.clear()
        self.open.clear()
        self.taken_over.clear()
        self._begun.clear()
        self.known = {key: [self._survived(entry)] for key, entry in self.on_disk.items()}
        for name in accounts:
            promises.p8_cooldowns_hold(self, name)

    def arrived(self, seen: Seen) -> None:
        self.open[seen.number] = seen
        pace = self.pace.setdefault(seen.provider, Pace(self.now))
        pace.arrived += 1
        pace.arrivals.append(self.now)
        self.note("#{} arrives: {} {}", seen.number, seen.provider, seen.model)

    def stepped(self, seen: Seen, step: Step) -> None:
        """The dispatcher has said what to do."""
        self.steps += 1
        if isinstance(step, Attempt):
            self.note("#{} attempt {} with {}: {}", seen.number, step.number, step.target.name, step.because)
            self._paid(seen, step.target.name)
            self._takes_over(seen, step.target.name)
            promises.on_attempt(self, seen, step)
            seen.current, seen.paused, seen.pauses = step.target.name, False, 0
            seen.since_pause.add(step.target.name)
        elif isinstance(step, Pause):
            self.note("#{} pauses {:.3f} s: {}", seen.number, step.seconds, step.because)
            seen.paused = True
            seen.pauses += 1
            seen.since_pause.clear()
            if "holding" in step.because:
                seen.held += step.seconds
            else:
                seen.backed_off += step.seconds
            promises.on_pause(self, seen, step)
        elif isinstance(step, Queue):
            self.note("#{} queues {:.3f} s: {}", seen.number, step.seconds, step.because)
            seen.queued = True
            promises.on_queue(self, seen, step)
        else:
            self.note("#{} stops: {} wait={}", seen.number, step.because, step.wait)
            promises.on_stop(self, seen, step)
        promises.p6_no_probe_is_stuck(self, seen)

    def ended(self, seen: Seen, tried: Try, before: Block | None) -> None:
        """An attempt has come to its end. `before`: what blocked the account just before that was recorded."""
        self.steps += 1
        seen.current, seen.queued = None, False
        seen.tries.append(tried)
        name, plan = tried.account, tried.plan
        self.note("#{} {} answers {} {} {}", seen.number, name, plan.status, tried.kind.name, tried.outcome.reason)
        if tried.definite:
            longest = plan.told if plan.told is not None else _LONGEST[tried.kind]
            slack = min(longest * core_health.JITTER_SHARE, core_health.JITTER_MAX) + 1e-3
            entry = Known(self.now, self.now + (plan.told or 0.0), self.now + longest + slack, self.machine.offset)
            self._keep((name, plan.model), entry)
        elif tried.server_side:
            failures = self.failures.setdefault(seen.provider, {})
            failures[name] = self.now
            seen.provider_wide = sum(self.now - at <= WINDOW for at in failures.values()) >= 2
        elif tried.kind is Kind.OK:
            self.failures.pop(seen.provider, None)
            seen.committed = True
        promises.on_end(self, seen, tried, before)

    def cancelled(self, seen: Seen, before: Block | None) -> None:
        """The client has hung up; `before`: what blocked the account of its attempt."""
        self.note("#{} hangs up", seen.number)
        name, seen.current = seen.current, None
        if name is not None:
            promises.p6_counts_for_nothing(self, seen, name, before, "a cancelled request")
        self.closed(seen)
        promises.p6_no_probe_is_stuck(self, seen)

    def closed(self, seen: Seen) -> None:
        self.open.pop(seen.number, None)

    def written(self, row: CooldownRow) -> None:
        """A row is on disk: from now on a kill does not undo it."""
        for entry in self.known.get((row.name, row.model), ()):
            if abs(EPOCH + entry.offset + entry.since - row.observed_at) < SLACK:
                self.on_disk[row.name, row.model] = entry

    def cleared(self, name: str) -> None:
        """The operator has given the account a new credential."""
        self.known = {key: entries for key, entries in self.known.items() if key[0] != name}
        self.on_disk = {key: entry for key, entry in self.on_disk.items() if key[0] != name}

    def read_again(self, accounts: list[str]) -> None:
        """The running process has read the disk again, because another process wrote there."""
        for name in accounts:
            promises.p8_cooldowns_hold(self, name)

    # -- what is known --------------------------------------------------------------------------------------------

    def about(self, name: str, model: str) -> Iterator[Known]:
        """The refusals that concern this account and model."""
        yield from self.known.get((name, ""), ())
        if model:
            yield from self.known.get((name, model), ())

    def out_until(self, name: str, model: str) -> float:
        """True seconds before which the provider does not want to see this account."""
        return max((entry.until - entry.shift for entry in self.about(name, model)), default=0.0)

    def out_latest(self, name: str, model: str) -> float:
        """True seconds from which no refusal is a reason to leave it out."""
        return max((entry.latest for entry in self.about(name, model)), default=0.0)

    def holding(self, name: str) -> int:
        """Requests that have a lease there: under way, or being answered."""
        return sum(
            seen.current == name or (seen.committed and seen.accounts[-1] == name) for seen in self.open.values()
        )

    def in_flight(self, name: str) -> int:
        return sum(seen.current == name for seen in self.open.values())

    def _takes_over(self, seen: Seen, name: str) -> None:
        """Does work go over to another account than the one in use, and one that was left alone until now? Whatever
        slow start it had before is over then."""
        quiet = self.now - self._begun.get(name, -LONGEST_RAMP)
        self._begun[name] = self.now
        order = seen.priority
        active = order.active_for(seen.model)
        if active is None or order.strategy.spreads or name in (active, seen.home):
            return
        if order.around.known.load.at_limit(active):
            return  # it is full, and not left
        if quiet >= LONGEST_RAMP:
            self.taken_over[name] = (self.now, self.holding(name))

    def _keep(self, key: tuple[str, str], entry: Known) -> None:
        entries = [old for old in self.known.get(key, ()) if old.latest > self.now]
        self.known[key] = [*entries, entry]

    def _survived(self, entry: Known) -> Known:
        ahead = self.machine.offset - entry.offset
        entry.shift = max(0.0, ahead)
        if ahead < 0:  # the stored end means nothing any more: the whole duration may be waited for
            entry.latest = max(entry.latest, self.now + entry.latest - entry.since)
        return entry

    def _paid(self, seen: Seen, name: str) -> None:
        last = seen.tries[-1] if seen.tries else None
        if last is None or not last.server_side:
            return
        seen.server_extras += 1
        if last.plan.sent is Sent.NOTHING and last.kind is Kind.TRANSPORT and name != last.account:
            return  # nothing had left: it costs the provider nothing
        pace = self.pace[seen.provider]
        pace.paid += 1
        pace.payments.append(self.now)
