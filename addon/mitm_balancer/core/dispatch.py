"""The state machine of one request: which attempt comes next, and when it is over (P1-P6).

    next() -> Attempt ----> ended(outcome) --+--> next() ...
           -> Pause(seconds) ----------------+
           -> Queue(seconds) -- or woken ----+
           -> Renew -- renewed(refusal?) ----+
           -> Stop(why)

The driver does what `next` says and reports with `ended`; it decides nothing itself. Pure: `now` is monotonic seconds.

What may follow a failed attempt:
  definite refusal (429, quota, auth)  another account while there is one, inside the deadline; free of budget
  server or transport failure          at most 2 extra attempts, paid from the retry budget: another account, or, when
                                       it is the provider (P3) or nobody else is there, the same one after a backoff
  ambiguous (sent, no answer)          as a server failure, but once only, and only with `retry_ambiguous`
  a provider's second server failure   the next provider of the row, where the operator enabled one (`core.chain`)
  the request's own fault              nothing, unless the driver could take the fault out of it (`retry_same`)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mitm_balancer.core import enough
from mitm_balancer.core.admission import Seat
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.health import Cooldown, Health
from mitm_balancer.core.leaving import WORTH_WAITING, behind, faulty, soonest, warmest
from mitm_balancer.core.moving import forced, lost
from mitm_balancer.core.order import Order
from mitm_balancer.core.priority import Rejected, TargetInfo
from mitm_balancer.core.rng import Rng
from mitm_balancer.core.scope import ScopeLearner
from mitm_balancer.core.session import Tie
from mitm_balancer.core.steps import Attempt, DispatchPolicy, Pause, Queue, Renew, Step, Stop
from mitm_balancer.core.switching import Switch
from mitm_balancer.core.verdict import Outcome, Verdict
from mitm_balancer.core.waiting import Waiting

__all__ = ["Attempt", "Dispatch", "DispatchPolicy", "Pause", "Queue", "Renew", "Step", "Stop"]


@dataclass(slots=True)
class Dispatch:
    """One client request on its way. `model` is "" when unknown."""

    provider: str
    model: str
    priority: Order
    health: Health
    budget: RetryBudget
    scope: ScopeLearner
    policy: DispatchPolicy
    started: float
    rng: Rng
    pin: str | None = None
    """The only account that can know what this request speaks of (a bound resource)."""
    prefer: str | None = None
    """The account that would serve it best (its turn began there); another one will do."""
    tie: Tie | None = None
    """The session that it belongs to."""
    on_cooldown: Callable[[Cooldown], None] = lambda _: None
    attempts: list[tuple[str, Outcome]] = field(default_factory=list)
    rejected: tuple[Rejected, ...] = ()
    switch: Switch | None = None
    """Its session's account was left, or passed over: for whom, why, and what that costs."""
    held: float = 0.0
    waiting: Waiting = field(init=False)
    _tried: dict[str, int] = field(default_factory=dict)
    _server_failures: int = 0
    _extra: int = 0
    _again: str | None = None
    _changed: str | None = None
    _was_changed: bool = False
    _paused: bool = False
    _round: set[str] = field(default_factory=set)
    """Accounts tried since the last hold: a hold gives each one its second try, nothing else does without a backoff."""
    _current: TargetInfo | None = None
    _attempted: float = 0.0
    _home: str | None = None
    _came_from: str | None = None
    """The session's account when the request came."""
    _moves: Switch | None = None
    """The session is better off elsewhere, and goes there with this attempt."""
    _for_slot: tuple[TargetInfo, str] | None = None
    _probing: bool = False
    _renewing: TargetInfo | None = None
    _renewals: set[str] = field(default_factory=set)
    """Accounts whose login was renewed for this request: once each."""

    def __post_init__(self) -> None:
        self.budget.deposit(self.started)
        self.waiting = Waiting(self.policy, self.started)

    @property
    def seat(self) -> Seat | None:
        """Its place among all that runs; None: no limits."""
        return self.waiting.seat

    @seat.setter
    def seat(self, seat: Seat) -> None:
        self.waiting.seat = seat

    def next(self, now: float) -> Step:
        """What to do now. Called again after each `ended` and each pause."""
        self.waiting.begin(now)
        step = self._next(now)
        self.waiting.end(step, now)
        return step

    def somebody_is_back(self, now: float) -> bool:
        """Whether a request that is held could go on already."""
        chosen = self.priority.select(self.model, self.health, now, without=self._spent())
        return chosen.chosen is not None and not chosen.last_resort

    def _next(self, now: float) -> Step:
        if self._for_slot is not None and (step := self._got_slot(now)) is not None:
            return step
        if self._renewing is not None:
            return Renew(self._renewing)
        if self._changed is not None:
            return self._once_more(self._changed, now)
        if self.attempts and (stop := self._may_go_on(now)) is not None:
            return stop
        if not self.attempts and (self.pin is not None or not self.policy.failover):
            return self._only(now)
        if not self.attempts and (preferred := self._preferred(now)) is not None:
            return preferred
        if (beyond := behind(self.priority, self.attempts)) and (step := self._choose(beyond, now)) is not None:
            self._again, self._paused = None, False
            return step
        if self._again is not None and (step := self._same_account(now)) is not None:
            return step
        name = faulty(self.attempts)
        order = self.priority if name is None else self.priority.near(name)
        return self._choose(order, now) or self._nobody_new(now)

    def _choose(self, order: Order, now: float) -> Step | None:
        """Go to the one that this order puts first; None: it has nobody."""
        home = None if self.tie is None else self.tie.home(now)
        without = self._round | self._spent()
        shunned = None if self.tie is None or self.attempts else self.tie.shunned(now)
        selection = order.select(
            self.model, self.health, now,
            without=without if shunned is None else without | {shunned}, bound=home, tied=self.tie,
        )  # fmt: skip
        if shunned is not None and (selection.chosen is None or selection.last_resort):
            selection = order.select(self.model, self.health, now, without=without, bound=home, tied=self.tie)
        self.rejected, self._moves = selection.rejected, selection.switch
        if selection.busy or (selection.chosen is not None and self.waiting.full):
            return self.waiting.queue(frozenset(selection.busy) or None, now)
        if selection.chosen is None:
            return None
        if selection.probed and (step := self.waiting.probe(selection.chosen.name, self.health, now)) is not None:
            return step
        if (soon := self._worth_waiting(selection.chosen, now)) is not None:
            return soon
        if self.attempts:
            last = self.attempts[-1][1]
            if why := enough.unpaid(self.policy, selection.chosen.name, self._tried, last, self.budget, now):
                return Stop(why)
            self._extra += last.server_failure
        return self._attempt(selection.chosen, "redispatch" if self.attempts else selection.because, now)

    def ended(self, outcome: Outcome, now: float, *, renewable: bool = False) -> None:
        """How the attempt that `next` gave has ended. `renewable`: a refused credential can be renewed."""
        target = self._current
        assert target is not None, "ended() without an attempt"
        self._current = None
        if not outcome.ok:
            self.give_up_seat()
        self.attempts.append((target.name, outcome))
        if renewable and self._may_renew(target.name, outcome, now):
            self._renewing = target
            if self._probing:
                self.health.cancelled(target.name)  # the attempt to come is the probe
            return
        self._learn(target.name, outcome, now)
        if outcome.ok:
            moves = self._moves if self._moves is not None and self._moves.target == target.name else None
            self.switch = moves or forced(self.tie, self._came_from, target.name, self.attempts, self.rejected, now)
            if self.tie is not None and self.pin is None and target.provider == self.provider:
                gone = lost(self.tie, target.name, self._tried, self.priority, self.model, self.health, now)
                self.tie.served(target.name, now, moves=gone or moves is not None)
            if target.name not in (self.pin, self.prefer, self._home):
                # Who had to serve, or had served before, says nothing about who serves next.
                self.priority.served(target.name, self.model, self.health, now)
            self.scope.succeeded(target.provider)
        elif outcome.server_failure:
            self._server_failures += 1
            self.scope.failed(target.provider, target.name, now)
            if self.scope.provider_wide(target.provider, now):
                self._again = warmest(self.attempts, self._tried)

    def renewed(self, now: float, refusal: Outcome | None = None) -> None:
        """What came of `Renew`. A new credential: the same account is asked once more, and nothing is held against it.

        `refusal`: there is none, and this is what the account's refusal amounts to.
        """
        target, self._renewing = self._renewing, None
        assert target is not None, "renewed() without a Renew"
        if refusal is None:
            self._changed = "its login was renewed"
        else:
            self.attempts[-1] = (target.name, refusal)
            self._learn(target.name, refusal, now)

    def retry_same(self, because: str, now: float) -> bool:
        """The request's own fault was taken out of it: `next` gives the account of the last attempt again, once.

        False: it may not be tried again.
        """
        spent = len(self.attempts) >= self.policy.max_attempts or now - self.started >= self.policy.deadline
        switched_off = self.pin is None and not self.policy.failover
        if not self.attempts or self._was_changed or spent or switched_off:
            return False
        self._changed, self._was_changed = because, True
        return True

    def cancelled(self) -> None:
        """The client left in the middle of an attempt: it counts for nothing (P6)."""
        if self._current is not None and self._probing:
            self.health.cancelled(self._current.name)
        self._current = None

    def close(self) -> None:
        """The request is over, whatever its end: the lease ends with it. Any number of times."""
        self.cancelled()
        self.give_up_seat()

    def give_up_seat(self) -> None:
        """What goes on needs no slot, or nothing goes on."""
        self.waiting.leave()

    @property
    def last(self) -> Outcome | None:
        return self.attempts[-1][1] if self.attempts else None

    def _learn(self, name: str, outcome: Outcome, now: float) -> None:
        known, model = self.priority.around.known, self.model_of(name)
        known.vitals.ended(name, model, outcome, now - self._attempted, now)
        if cooldown := self.health.record(name, model, outcome, now):
            self.on_cooldown(cooldown)
            if cooldown.about_quota:
                known.evidence.learnt(name, cooldown.model, cooldown.until, now)
        elif outcome.ok:
            known.evidence.served(name, model, self._attempted)

    def model_of(self, name: str) -> str:
        """What this account is asked for: its provider may have another word for the model."""
        return self.priority.model_of(name, self.model)

    # -- inside -------------------------------------------------------------------------------------------------

    def _may_renew(self, name: str, outcome: Outcome, now: float) -> bool:
        if outcome.verdict is not Verdict.AUTH_FAILURE or name in self._renewals:
            return False
        self._renewals.add(name)
        return len(self.attempts) < self.policy.max_attempts and now - self.started < self.policy.deadline

    def _only(self, now: float) -> Step:
        """The one account that may serve, cooling or not: its own answer is the truth."""
        target = self.priority.preferred() if self.pin is None else self.priority.find(self.pin)
        if target is not None and target.enabled and not target.usable and self._not_stopped(target):
            return self._attempt(target, "balancing is off" if self.pin is None else "bound to it", now)
        if self.pin is None:
            return Stop("no account can serve this", empty=True)
        return Stop(f"{self.pin} made what this request speaks of, and cannot serve now")

    def _not_stopped(self, target: TargetInfo) -> bool:
        """A drained account finishes what it has; a resource that it made is such a thing."""
        return self.priority.around.states.of(target.name, target.provider) in ("", "drained")

    def _preferred(self, now: float) -> Step | None:
        """The account where its turn began, if it may serve."""
        target = None if self.prefer is None else self.priority.find(self.prefer)
        if target is not None and self.tie is not None and self.tie.shunned(now) == target.name:
            return None
        if target is None or self.priority.blocked(target, self.model, self.health, now, bound=True) is not None:
            return None
        return self._attempt(target, "its turn began there", now)

    def _once_more(self, because: str, now: float) -> Step:
        """The account of the last attempt, for the request that was changed."""
        self._changed = None
        return self._attempt(self._target(self.attempts[-1][0]), because, now)

    def _may_go_on(self, now: float) -> Stop | None:
        if self.pin is not None and not self.attempts[-1][1].ok:
            return Stop(f"only {self.pin} knows what this request speaks of")
        why = enough.enough(self.policy, self.attempts, self._extra, now - self.started)
        return None if why is None else Stop(why)

    def _got_slot(self, now: float) -> Step | None:
        """It waited for one certain account; None: that one has begun to cool meanwhile, or was paused."""
        assert self._for_slot is not None
        (target, because), self._for_slot = self._for_slot, None
        cools = self.health.cooldown(target.name, self.model_of(target.name), now) is not None
        if (cools and self.pin is None and self.policy.failover) or not self._not_stopped(target):
            return None
        return self._attempt(target, because, now)

    def _attempt(self, target: TargetInfo, because: str, now: float) -> Step:
        # The session decided, not the strategy: its serving there says nothing about where others go.
        self._home = None if self.tie is None else self.tie.home(now)
        if self.pin is None and target.name != self._home and self._takes_over(target.name):
            self.waiting.takes_over(target.name, now)
        if (step := self.waiting.take(target.name, now)) is not None:
            self._for_slot = (target, because)
            return step
        if not self.attempts:
            self._came_from = self._home
        if self.tie is not None and self.pin is None and target.provider == self.provider:
            self.tie.begins(target.name, now)
        self._tried[target.name] = self._tried.get(target.name, 0) + 1
        self._round.add(target.name)
        self._current = target
        self._attempted = now
        self._probing = self.health.chosen(target.name)
        self.priority.taken(target.name)
        return Attempt(target, len(self.attempts) + 1, because)

    def _takes_over(self, name: str) -> bool:
        return self.priority.takes_over(name, self.model, failover=bool(self.attempts))

    def _same_account(self, now: float) -> Step | None:
        """The warm account again, after a backoff that is paid beforehand; None: it has begun to cool meanwhile, or
        was paused."""
        name = self._again
        assert name is not None
        if self._tried[name] >= 2:
            return Stop("server failures on the warm account: retried once")
        if not self._paused:
            seconds = self.policy.backoff(self._server_failures, self.rng)
            if now + seconds - self.started >= self.policy.deadline:
                return Stop("deadline reached")
            if not self.budget.withdraw(now):
                return Stop("retry budget empty")
            self._paused = True
            return Pause(seconds, "server failure: backing off on the warm account")
        self._again, self._paused = None, False
        if self._left_off(name, now):
            return None
        self._extra += 1
        return self._attempt(self._target(name), "retry after backoff", now)

    def _left_off(self, name: str, now: float) -> bool:
        """Whether an account that has been tried has begun to cool since, or was paused."""
        cools = self.health.cooldown(name, self.model_of(name), now) is not None
        return cools or not self._not_stopped(self._target(name))

    def _nobody_new(self, now: float) -> Step:
        """Every target was tried or cannot serve."""
        if (warm := self._warm(now)) is not None:
            self._again = warm
            return self.next(now)
        if faulty(self.attempts) is not None and (step := self._choose(self.priority, now)) is not None:
            return step
        wait = soonest(self.priority, self.model, self.health, now, self._spent())
        left = min(self.policy.hold - self.held, self.policy.deadline - (now - self.started))
        if wait is not None and wait <= left and self.policy.failover:
            self.held += wait
            self._round.clear()
            return Pause(wait, "every account is cooling: holding until the first is back", holding=True)
        wait = soonest(self.priority, self.model, self.health, now, ())
        if wait is not None:
            return Stop("every account is cooling", exhausted=True, wait=wait)
        return Stop("every account was refused") if self.attempts else Stop("no account can serve this", empty=True)

    def _warm(self, now: float) -> str | None:
        """The account of the last server failure, unless it was left off: a short backoff may be all it needs."""
        name = next((name for name, outcome in reversed(self.attempts) if outcome.server_failure), None)
        if name is None or self._left_off(name, now):
            return None
        last_resort = self.attempts[-1][1].server_failure
        return name if last_resort or (self._tried[name] < 2 and self._extra < enough.SERVER_EXTRA) else None

    def _spent(self) -> set[str]:
        return {name for name, count in self._tried.items() if count >= 2}

    def _worth_waiting(self, chosen: TargetInfo, now: float) -> Step | None:
        """A moment's wait, if a provider in front of the chosen one is back so soon."""
        before = self.priority.before(chosen.name)
        if before is None or not self.policy.failover:
            return None
        wait = soonest(before, self.model, self.health, now, self._spent(), cooling=True)
        left = min(WORTH_WAITING, self.policy.hold - self.held, self.policy.deadline - (now - self.started))
        if wait is None or wait > left:
            return None
        self.held += wait
        self._round.clear()
        return Pause(wait, "its own provider is back in a moment: holding")

    def _target(self, name: str) -> TargetInfo:
        target = self.priority.find(name)
        assert target is not None, "it has been tried, so it is there"
        return target
