"""What is known about the targets: cooldowns that providers asked for, and breakers of our own.

Two things that must not be mixed (anchors 2.1b): a *cooldown* obeys the provider's clock and always counts; a *breaker*
is our own judgement after repeated faults and is ignored when it would leave nobody (never eject the last one).
All times are monotonic seconds, given by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from mitm_balancer.core.breaker import Breaker, BreakerPolicy
from mitm_balancer.core.changes import Changes
from mitm_balancer.core.rng import Rng
from mitm_balancer.core.verdict import Outcome, Scope, Verdict

RATE_LIMIT_DEFAULT = 60.0
"""Seconds for a 429 that says nothing; LiteLLM's 5 s is too short for quotas (anchors 2.4)."""

RATE_LIMIT_MAX = 300.0
"""Ceiling of the growing default (Envoy's max_ejection_time)."""

QUOTA_DEFAULT = 30 * 60.0
QUOTA_MAX = 24 * 3600.0
"""A quota without a reset time: 30 minutes, doubling to a day (DESIGN section 5)."""

AUTH_DEFAULT = 3600.0
"""A refused credential is tried again after an hour, in case the refusal was the provider's mistake; changing the
credential or `balancer reload` clears it at once."""

NOT_RENEWED = "login_not_renewed"
"""The reason of a refusal that the next renewal of its login cures: waiting for that makes sense."""

POLICY_DEFAULT = 24 * 3600.0
MODEL_DEFAULT = 12 * 3600.0
"""A model that is not there for this account is left out for 12 h (DESIGN section 5)."""

JITTER_SHARE = 0.1
JITTER_MAX = 30.0
"""A cooldown ends up to 10 % (at most 30 s) late, so that waiting clients do not return together (anchors 2.3)."""

STRIKE_DECAY = 600.0
"""Seconds of peace after which a growing default starts again from its beginning."""

PROOF = 10.0
"""Seconds within which another account must be reached, to prove that the network is there (P3's window)."""

TOGETHER = 1.0
"""Seconds within which connections that break count as one fault: parallel streams share the path that broke."""

ALL_MODELS = ""


@dataclass(frozen=True, slots=True)
class Cooldown:
    """The provider said wait."""

    name: str
    model: str
    """ALL_MODELS, or the one model that is out."""
    until: float
    duration: float
    reason: str
    verdict: Verdict
    strikes: int = 1

    @property
    def about_quota(self) -> bool:
        """Whether it is evidence of what is left."""
        return self.verdict in (Verdict.RATE_LIMITED, Verdict.QUOTA_EXHAUSTED)


@dataclass(frozen=True, slots=True)
class Block:
    """Why a target cannot serve now."""

    reason: str
    until: float | None
    """When it may serve again; None: not by waiting."""
    breaker: bool = False
    waitable: bool = True
    """False: it ends by somebody's hand (a new credential, another model), the time is only a second look."""
    busy: bool = False
    """Only a free slot is missing."""


@dataclass(slots=True)
class Health:
    """Cooldowns and breakers of all targets. Pure: same calls, same answers, given the same `rng`."""

    rng: Rng
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    changes: Changes = field(default_factory=Changes)
    _cooldowns: dict[str, dict[str, Cooldown]] = field(default_factory=dict)
    _breakers: dict[str, Breaker] = field(default_factory=dict)
    _waiting: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    """Who wants to be told when a probe of the account has ended."""
    _unreached: dict[str, float] = field(default_factory=dict)
    """Accounts whose last attempt did not reach them, and when."""
    _broke: dict[str, float] = field(default_factory=dict)
    """When a connection to the account broke, as far as that was counted."""

    def record(self, name: str, model: str, outcome: Outcome, now: float) -> Cooldown | None:
        """Take in how an attempt ended; returns the cooldown that it started, for the store.

        None when a longer one holds: the store must not forget that one.
        """
        self._count(name, outcome, now)
        key = model if outcome.scope is Scope.MODEL else ALL_MODELS
        if outcome.verdict is Verdict.MODEL_UNAVAILABLE and not key:
            return None  # which model was not said: no reason to bench the account for all of them
        strikes = self._strikes(name, key, outcome.verdict, now)
        seconds = self._seconds(outcome, strikes)
        if seconds is None:
            return None
        duration = seconds + self.rng.uniform(0, min(seconds * JITTER_SHARE, JITTER_MAX))
        cooldown = Cooldown(
            name,
            key,
            now + duration,
            duration,
            outcome.reason or outcome.verdict.value,
            outcome.verdict,
            strikes + 1,
        )
        return cooldown if self.restore(cooldown) else None

    def restore(self, cooldown: Cooldown) -> bool:
        """Put a cooldown in place (from the store, or a new one); a later end wins. Returns whether it is in place."""
        of_name = self._cooldowns.setdefault(cooldown.name, {})
        old = of_name.get(cooldown.model)
        if old is not None and old.until > cooldown.until:
            return False
        of_name[cooldown.model] = cooldown
        self.changes.note(cooldown.name)
        return True

    def clear(self, name: str, model: str | None = None) -> None:
        """Forget the cooldowns (all, or one model's) and the breaker of a target: the operator knows better."""
        if model is None:
            self._cooldowns.pop(name, None)
            self._breakers.pop(name, None)
            self._unreached.pop(name, None)
            self._wake(name)
        else:
            self._cooldowns.get(name, {}).pop(model, None)
        self.changes.note(name)

    def rename(self, old: str, new: str) -> None:
        """The account has another name now."""
        if (cooldowns := self._cooldowns.pop(old, None)) is not None:
            self._cooldowns[new] = {model: replace(cooldown, name=new) for model, cooldown in cooldowns.items()}
        if (breaker := self._breakers.pop(old, None)) is not None:
            self._breakers[new] = breaker
        self.changes.note(new)

    def blocked(self, name: str, model: str, now: float) -> Block | None:
        """Why this target cannot serve this model now, or None when it can."""
        if cooldown := self.cooldown(name, model, now):
            waitable = cooldown.verdict not in _NOT_BY_WAITING or cooldown.reason == NOT_RENEWED
            return Block(cooldown.reason, cooldown.until, waitable=waitable)
        breaker = self._breakers.get(name)
        until = breaker.until(self.breaker) if breaker is not None else None
        if breaker is None or until is None:
            return None
        if now < until:
            return Block("breaker open", until, breaker=True)
        return Block("probe under way", now, breaker=True) if self.probed(name) else None

    def cooldown(self, name: str, model: str, now: float) -> Cooldown | None:
        """The cooldown that holds for this target and model, the longest if there are two."""
        of_name = self._cooldowns.get(name)
        if not of_name:
            return None
        found = [c for key in {ALL_MODELS, model} if (c := of_name.get(key)) is not None and c.until > now]
        return max(found, key=lambda c: c.until, default=None)

    def cooldowns(self, now: float) -> Iterable[Cooldown]:
        """All that hold now, for the status view."""
        return [c for of_name in self._cooldowns.values() for c in of_name.values() if c.until > now]

    def chosen(self, name: str) -> bool:
        """An attempt starts; returns whether it is a probe of an open breaker, and now holds a slot for it."""
        breaker = self._breakers.get(name)
        if breaker is None or not breaker.take(self.breaker):
            return False
        self.changes.note(name)
        return True

    def probed(self, name: str) -> bool:
        """Whether as many probes are under way as there may be."""
        breaker = self._breakers.get(name)
        return breaker is not None and breaker.probing >= self.breaker.half_open_max_probes

    def tell(self, name: str, wake: Callable[[], None]) -> None:
        """Call `wake` when a probe of that account has ended, however; once."""
        self._waiting.setdefault(name, []).append(wake)

    def cancelled(self, name: str) -> None:
        """The client of a probe left: it counts for nothing, and the slot is given back (P6)."""
        if (breaker := self._breakers.get(name)) is not None:
            breaker.give_back()
            self.changes.note(name)
            self._wake(name)

    def breaker_state(self, name: str, now: float) -> str:
        """`closed`, `open` or `half-open`."""
        breaker = self._breakers.get(name)
        until = breaker.until(self.breaker) if breaker is not None else None
        return "closed" if until is None else "open" if now < until else "half-open"

    def open_breakers(self, now: float) -> Iterable[tuple[str, str, float]]:
        """(name, state, when it turns half-open) of those that are not closed, for the status view."""
        for name, breaker in self._breakers.items():
            if (until := breaker.until(self.breaker)) is not None:
                yield name, "open" if now < until else "half-open", until

    @staticmethod
    def _seconds(outcome: Outcome, strikes: int) -> float | None:
        if outcome.capacity or outcome.scope is Scope.REQUEST:
            return None
        match outcome.verdict:
            case Verdict.RATE_LIMITED:
                grown = min(RATE_LIMIT_DEFAULT * 2**strikes, RATE_LIMIT_MAX)
            case Verdict.QUOTA_EXHAUSTED:
                grown = min(QUOTA_DEFAULT * 2**strikes, QUOTA_MAX)
            case Verdict.AUTH_FAILURE:
                grown = AUTH_DEFAULT
            case Verdict.PERMISSION_FAILURE | Verdict.REGION_RESTRICTION:
                grown = POLICY_DEFAULT
            case Verdict.MODEL_UNAVAILABLE:
                grown = MODEL_DEFAULT
            case _:
                return None
        return grown if outcome.wait is None else outcome.wait

    def _strikes(self, name: str, key: str, verdict: Verdict, now: float) -> int:
        """Earlier strikes of the same kind. Requests that were under way when a cooldown began are the same strike."""
        old = self._cooldowns.get(name, {}).get(key)
        if old is None or old.verdict is not verdict or now >= old.until + STRIKE_DECAY:
            return 0
        return old.strikes - 1 if now < old.until else old.strikes

    def _count(self, name: str, outcome: Outcome, now: float) -> None:
        breaker = self._breakers.setdefault(name, Breaker())
        before = (breaker.opened, breaker.probing)
        if outcome.verdict not in _BROKEN:
            self._reached(name, now)
        if outcome.unreached:
            self._unreached[name] = now
            breaker.unproven(now)
        elif outcome.capacity or outcome.verdict in _SAYS_NOTHING or self._same_break(name, outcome, breaker, now):
            breaker.give_back()
        elif outcome.verdict in _FAULTS:
            self._fault(breaker, now)
        else:
            breaker.good(self.breaker, now)
        if before != (breaker.opened, breaker.probing):
            self.changes.note(name)
            self._wake(name)

    def _wake(self, name: str) -> None:
        for wake in self._waiting.pop(name, ()):
            wake()

    def _fault(self, breaker: Breaker, now: float) -> None:
        breaker.fault(self.breaker, now, self.rng.uniform(0, 1))

    def _reached(self, name: str, now: float) -> None:
        """The network is there: others that were not reached just before have a fault of their own, one each.

        When nobody is reached, it is our network: that ejects nobody.
        """
        self._unreached.pop(name, None)
        for other, at in self._unreached.items():
            if now - at <= PROOF:
                self._fault(self._breakers.setdefault(other, Breaker()), now)
                self.changes.note(other)
        self._unreached.clear()

    def _same_break(self, name: str, outcome: Outcome, breaker: Breaker, now: float) -> bool:
        """Whether this connection broke with another one that has been counted."""
        if outcome.verdict not in _BROKEN:
            return False
        again = not breaker.probing and now - self._broke.get(name, -TOGETHER) < TOGETHER
        if not again:
            self._broke[name] = now
        return again


_FAULTS = frozenset({Verdict.TRANSIENT_SERVER_FAILURE, Verdict.TRANSPORT_FAILURE, Verdict.INTERRUPTED_EXECUTION})

_BROKEN = frozenset({Verdict.TRANSPORT_FAILURE, Verdict.INTERRUPTED_EXECUTION})
"""No answer, or not a whole one."""

_SAYS_NOTHING = frozenset({Verdict.REQUEST_FAULT, Verdict.POLICY_FAILURE})

_NOT_BY_WAITING = frozenset(
    {Verdict.AUTH_FAILURE, Verdict.PERMISSION_FAILURE, Verdict.REGION_RESTRICTION, Verdict.MODEL_UNAVAILABLE}
)
