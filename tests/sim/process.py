"""The process under test: the production core, driven as `proxy.call` and `app` drive it, on simulated wires.

Only the wires and the clocks are simulated. What is mirrored here is the order in which the driver calls the core; each
function names the one that it mirrors.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from random import Random

from mitm_balancer.core.admission import Admission, Seat
from mitm_balancer.core.breaker import BreakerPolicy
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.changes import Changes
from mitm_balancer.core.dispatch import Attempt, Dispatch, DispatchPolicy, Pause, Queue, Stop
from mitm_balancer.core.evidence import Evidence
from mitm_balancer.core.health import Block, Cooldown, Health
from mitm_balancer.core.operator import States
from mitm_balancer.core.patience import Patience
from mitm_balancer.core.priority import Circumstances, Priority, TargetInfo
from mitm_balancer.core.scope import ScopeLearner
from mitm_balancer.core.session import Bindings, SessionKeys, Tie
from mitm_balancer.core.strategies import Known
from mitm_balancer.core.switching import CACHE_LIFE
from mitm_balancer.core.verdict import SUCCESS, Outcome, Scope, Sent, Verdict
from mitm_balancer.core.vitals import Vitals
from mitm_balancer.providers.classify import classify, classify_event
from mitm_balancer.proxy.attempt import transport_outcome
from mitm_balancer.running.recording import restore_cooldowns, stored
from mitm_balancer.store.rows import KnownRows
from mitm_balancer.upstream.base import UpstreamError
from sim.loop import Bell, Steps
from sim.machine import Disk, Machine
from sim.plan import Kind, Plan
from sim.provider import SimProvider
from sim.seen import Seen, Try
from sim.watch import Watch

CONNECT_TIMEOUT, FIRST_BYTE, RESPONSE, COMMIT_HOLD = 10.0, 120.0, 600.0, 30.0
"""The contract's defaults, seconds."""


LATE = 50e-6
"""Seconds: asyncio wakes a sleeper a little late, never early."""


class Crashed(Exception):
    """kill -9."""


class HungUp(Exception):
    """The client has gone."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks. `bad`: whoever is asked says 400."""

    number: int
    provider: str
    model: str
    stream: bool
    bad: bool = False
    session: int = -1
    prompt: int = 0
    """Tokens; 0: nobody counts them."""
    begins: bool = True
    """The first request of a turn."""


@dataclass(slots=True)
class End:
    """What the client got."""

    how: str
    """served, cut (after commit), fault (its own), exhausted, empty, overloaded, failed, crashed, gone"""
    account: str = ""
    attempts: int = 0
    wait: float = 0.0
    ambiguous: int = 0
    fresh: int = 0
    lost: int = 0
    """As in `Plan`."""
    switched: bool = False
    """The session's account was left."""


@dataclass(slots=True)
class Pool:
    """One provider's part of the process (proxy.runtime.ProviderPool)."""

    provider: SimProvider
    priority: Priority
    budget: RetryBudget = field(default_factory=RetryBudget)


class Process:
    """From its start to its death."""

    def __init__(
        self,
        machine: Machine,
        disk: Disk,
        watch: Watch,
        rng: Random,
        providers: Mapping[str, SimProvider],
        *,
        strategy: str,
        policy: DispatchPolicy,
        crash: Callable[[], bool],
        disabled: Set[str] = frozenset(),
        concurrency: int = 8,
        leave_at: float = 95.0,
    ) -> None:
        self.machine, self.disk, self.watch, self.rng = machine, disk, watch, rng
        self.policy, self.strategy, self._crash = policy, strategy, crash
        self.alive = True
        self.disabled = disabled
        """Accounts that the configuration switches off; changes count at `reload`."""
        # app.App, circumstances.circumstances: one journal for all that an order depends on.
        changes = Changes()
        limits = {name: concurrency for provider in providers.values() for name in provider.accounts}
        self.admission = Admission(limits=limits, changes=changes)
        known = Known(Evidence(changes), Vitals(changes=changes), self.admission, leave_at=leave_at)
        self.around = Circumstances(known, States(changes))
        self.bindings = Bindings()
        away = machine.wall() - machine.monotonic()
        self.bindings.restore(((k, name, at - away) for k, (name, at) in disk.bindings.items()), machine.monotonic())
        self.health = Health(rng, BreakerPolicy(success_threshold=2), changes)
        self.scope = ScopeLearner()
        self.patience = Patience()
        self.pools = {name: Pool(provider, self._priority(provider)) for name, provider in providers.items()}
        for name, pool in self.pools.items():
            pool.priority.restore(disk.in_use.get(name, {}))
        self._known = KnownRows()
        self._read_disk()
        watch.booted(self.health, self.accounts)

    @property
    def accounts(self) -> list[str]:
        return [name for pool in self.pools.values() for name in pool.provider.accounts]

    def reload(self) -> None:
        """A changed configuration (app.App._apply): new requests see it, running ones keep theirs."""
        for pool in self.pools.values():
            old, pool.priority = pool.priority, self._priority(pool.provider)
            pool.priority.adopt(old)

    def read_again(self) -> None:
        """Another process wrote to the store (app.App._watch)."""
        self._read_disk()
        self.watch.read_again(self.accounts)

    def new_credential(self, name: str) -> None:
        """The operator has logged in again (app.App._read_credential)."""
        self.disk.clear(name)
        self.health.clear(name)
        self.watch.cleared(name)

    def serve(self, request: Request, *, only: str = "") -> Steps[End]:
        """One request to its end (proxy.call.Call.run). HungUp and Crashed may be raised inside.

        `only`: as if there were no other account.
        """
        pool = self.pools[request.provider]
        if only:
            pool = Pool(pool.provider, Priority([TargetInfo(only, request.provider)], self.strategy))
        now = self.machine.loop.now
        seen = Seen(request.number, request.provider, request.model, now, self.policy, pool.priority)
        self.watch.arrived(seen)
        dispatch = Dispatch(
            provider=request.provider,
            model=request.model,
            priority=pool.priority,
            health=self.health,
            budget=pool.budget,
            scope=self.scope,
            policy=self.policy,
            started=self.machine.monotonic(),
            rng=self.rng,
            on_cooldown=self._save,
        )
        bell = Bell(self.machine.loop)
        session = f"{request.provider}/{request.session}" if request.session >= 0 else ""
        if session:
            dispatch.tie = Tie(self.bindings, SessionKeys(session), self._keep)
            dispatch.tie.begins_turn = lambda: request.begins
        dispatch.seat = Seat(self.admission, session=session, interactive=request.stream, wake=bell.ring)
        try:
            return (yield from self._attempts(request, pool, seen, dispatch, bell))
        except HungUp:
            before = self._block(seen.current, seen)
            dispatch.cancelled()
            self.watch.cancelled(seen, before)
            raise
        finally:
            if self.alive:
                dispatch.close()
                self.watch.closed(seen)

    def _attempts(self, request: Request, pool: Pool, seen: Seen, dispatch: Dispatch, bell: Bell) -> Steps[End]:
        while True:
            now = self.machine.monotonic()
            seen.home = None if dispatch.tie is None else dispatch.tie.home(now)
            step = dispatch.next(now)
            self.watch.stepped(seen, step)
            self._may_die()
            if isinstance(step, Pause):
                yield step.seconds + LATE
            elif isinstance(step, Queue):
                yield from bell.wait(step.seconds)
            elif isinstance(step, Stop):
                return self._stopped(step, seen)
            else:
                plan = yield from self._attempt(request, pool, seen, dispatch, step)
                if plan is not None:
                    end = yield from self._relay(plan, pool, seen, dispatch, step)
                    self._remember(request, end, dispatch)
                    return end

    def _attempt(
        self, request: Request, pool: Pool, seen: Seen, dispatch: Dispatch, step: Attempt
    ) -> Steps[Plan | None]:
        """proxy.attempt.attempt, then dispatch.ended. Returns the plan of a success."""
        name, now = step.target.name, self.machine.loop.now
        plan = pool.provider.receive(name, request, now)
        outcome, kind = yield from self._outcome(plan, request, pool, dispatch)
        before = self._block(name, seen)
        dispatch.ended(outcome, self.machine.monotonic())
        self.disk.in_use[request.provider] = self.pools[request.provider].priority.in_use  # in_use.InUse
        self.watch.ended(seen, Try(name, kind, plan, outcome), before)
        self._may_die()
        return plan if outcome.ok else None

    def _outcome(self, plan: Plan, request: Request, pool: Pool, dispatch: Dispatch) -> Steps[tuple[Outcome, Kind]]:
        """Wait as long as the driver would, and read what has come. Its kind is the truth, time-outs included."""
        provider, model = pool.provider.voice.provider, request.model
        limit = self._head_limit(request, dispatch) if plan.stage != "connect" else CONNECT_TIMEOUT
        if plan.head > limit:
            yield limit
            return _failed(plan.stage or "head", plan.sent, timeout=True), Kind.TRANSPORT
        yield plan.head
        if plan.stage:
            return _failed(plan.stage, plan.sent), Kind.TRANSPORT
        if plan.status >= 400:
            now = self.machine.wall()
            return classify(provider, plan.status, plan.headers, plan.body, now=now, model=model), plan.kind
        if not request.stream:
            return SUCCESS, Kind.OK
        return (yield from self._first_event(plan, pool, model))

    def _first_event(self, plan: Plan, pool: Pool, model: str) -> Steps[tuple[Outcome, Kind]]:
        """proxy.attempt._hold: a stream is held back until it says something."""
        learnt = self.patience.limit(pool.provider.name, model)
        at = plan.first if plan.cut is None else min(plan.first, plan.cut)
        limit = min(COMMIT_HOLD, COMMIT_HOLD + 1 if learnt is None else learnt)
        if at > limit:
            yield limit
            if limit == COMMIT_HOLD:
                return SUCCESS, Kind.OK
            return _failed("first event", Sent.ALL, timeout=True), Kind.TRANSPORT
        yield at
        if plan.cut is not None and plan.cut < plan.first:
            return _failed("body", Sent.ALL), Kind.TRANSPORT
        if plan.event:
            outcome = classify_event(pool.provider.voice.provider, plan.event, now=self.machine.wall(), model=model)
            return outcome, plan.kind
        self.patience.observe(pool.provider.name, model, at)
        return SUCCESS, Kind.OK

    def _relay(self, plan: Plan, pool: Pool, seen: Seen, dispatch: Dispatch, step: Attempt) -> Steps[End]:
        """The committed answer to its end; nothing is asked of the dispatcher any more, and it would say no (P4)."""
        self.watch.stepped(seen, dispatch.next(self.machine.monotonic()))
        self._state(step.target.name, plan, pool)
        unanswered = sum(t.unanswered for t in seen.tries)
        end = End("served", step.target.name, len(seen.tries), 0.0, unanswered, plan.fresh, plan.lost)
        if plan.cut is not None and plan.cut >= plan.first:
            yield max(0.0, plan.cut - plan.first)
            self._learn(step.target.name, dispatch)
            end.how = "cut"
        else:
            yield max(0.0, plan.length - plan.first)
        return end

    def _state(self, name: str, plan: Plan, pool: Pool) -> None:
        """circumstances.windows_to_evidence: the limit windows of an answer."""
        pattern = re.compile(pool.provider.voice.provider.model_windows or "$^")
        self.around.known.evidence.stated(
            name, plan.windows, self.machine.monotonic(), of_model=lambda window: bool(pattern.search(window))
        )

    def _learn(self, name: str, dispatch: Dispatch) -> None:
        """proxy.call.Call._learn: what happens after commit is known to the account's health."""
        outcome = Outcome(Verdict.INTERRUPTED_EXECUTION, "body", Scope.ACCOUNT)
        if cooldown := self.health.record(name, dispatch.model, outcome, self.machine.monotonic()):
            self._save(cooldown)

    def _remember(self, request: Request, end: End, dispatch: Dispatch) -> None:
        """proxy.caching.remember"""
        end.switched = dispatch.switch is not None
        if dispatch.tie is not None and request.prompt:
            now = self.machine.monotonic()
            dispatch.tie.used(end.account, request.model, request.prompt, CACHE_LIFE, now)

    def _keep(self, key: str, account: str) -> None:
        """remembering.sessions"""
        self.disk.bindings[key] = (account, self.machine.wall())

    def _stopped(self, stop: Stop, seen: Seen) -> End:
        last = seen.tries[-1] if seen.tries else None
        how = (
            "exhausted" if stop.exhausted else "empty" if stop.empty else "overloaded" if stop.overloaded else "failed"
        )
        if how == "failed" and last is not None and last.kind is Kind.REQUEST:
            how = "fault"
        return End(how, "", len(seen.tries), stop.wait or 0.0, sum(t.unanswered for t in seen.tries))

    def _head_limit(self, request: Request, dispatch: Dispatch) -> float:
        """proxy.call.Call._timeouts"""
        left = max(1.0, self.policy.deadline - (self.machine.monotonic() - dispatch.started))
        return min(FIRST_BYTE if request.stream else RESPONSE, left)

    def _may_die(self) -> None:
        if self._crash():
            raise Crashed

    def _save(self, cooldown: Cooldown) -> None:
        """recording.Recording.cooldown"""
        row = stored(cooldown, self.machine.wall())
        self._known.note(row)
        self.disk.save(row)

    def _read_disk(self) -> None:
        """app.App._restore_cooldowns"""
        news = self._known.unknown(self.disk.rows.values())
        restore_cooldowns(self.health, news, self.machine.wall(), self.machine.monotonic())

    def _priority(self, provider: SimProvider) -> Priority:
        targets = [TargetInfo(name, provider.name, enabled=name not in self.disabled) for name in provider.accounts]
        return Priority(targets, self.strategy, self.around)

    def _block(self, name: str | None, seen: Seen) -> Block | None:
        return None if name is None else self.health.blocked(name, seen.model, self.machine.monotonic())


def _failed(stage: str, sent: Sent, *, timeout: bool = False) -> Outcome:
    return dataclasses.replace(transport_outcome(UpstreamError(stage, stage, sent=sent, timeout=timeout)))
