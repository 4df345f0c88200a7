"""A simulated provider: it knows the truth about its accounts and keeps the ledger of what it worked on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

from mitm_balancer.core.verdict import Sent
from mitm_balancer.providers.limits import Window
from sim.faults import CREDENTIALS, Episode, Fault, Weather
from sim.plan import Kind, Plan
from sim.prompts import PromptCaches, weight
from sim.quota import Quota
from sim.voices import STATUSES, UsedUp, Voice

if TYPE_CHECKING:
    from sim.process import Request

NEVER = 1e9
"""Seconds: longer than anybody waits."""

WELL = 5.0
"""Seconds within which a provider that is well begins to speak: no time-out may take that for silence."""

COST = {"opus": 3.0, "sonnet": 1.0, "haiku": 0.5}
"""Units of quota per request."""


@dataclass(slots=True)
class SimProvider:
    """`accounts` in the operator's order. `epoch` is the unix time at which the simulation began."""

    voice: Voice
    accounts: dict[str, Quota]
    weather: Weather
    episodes: list[Episode]
    rng: Random
    epoch: float
    peace: float
    """When all faults stop and the quotas are lifted."""
    received: int = 0
    caches: PromptCaches = field(default_factory=PromptCaches)
    work: Counter[str] = field(default_factory=Counter)
    """Units that each account has served."""

    @property
    def name(self) -> str:
        return self.voice.provider.name

    def receive(self, account: str, request: Request, now: float) -> Plan:
        """What becomes of this attempt."""
        model, stream = request.model, request.stream
        self.received += 1
        head = self._latency()
        fault = self._fault(account, model, now)
        if fault is not None and (plan := self._broken(fault, head, stream, model, now)) is not None:
            return plan
        if fault is Fault.SLOW:
            head *= self.rng.uniform(5, 60)
        if request.bad:
            return self._error(Kind.REQUEST, head, model, now)
        quota = self.accounts[account]
        if now < self.peace and (refusing := quota.refusing(model, now)):
            used_up = [UsedUp(w.name, self.epoch + w.reset, w.model) for w in refusing]
            return self.voice.used_up(used_up, min(head, 0.5), self.epoch + now, self.rng)
        asked = (request.session, model, request.prompt, now)
        warm, best = self.caches.warm(account, *asked), self.caches.best(*asked)
        units = COST[model] * weight(request.prompt, warm)
        if now < self.peace:
            quota.spend(units, model, now)
        self.work[account] += round(1000 * units)
        if request.prompt:
            self.caches.keep(account, *asked)
        plan = self._served(fault, head, stream, quota.stated(now) if now < self.peace else ())
        return replace(plan, fresh=request.prompt - warm, lost=max(0, best - warm))

    def could_serve(self, account: str, model: str, now: float) -> bool:
        """The truth: no episode touches it, and there is quota left."""
        if now >= self.peace:
            return True
        touched = any(e.start <= now < e.end and self._concerns(e, account, model) for e in self.episodes)
        return not touched and not self.accounts[account].refusing(model, now)

    def _served(self, fault: Fault | None, head: float, stream: bool, windows: tuple[Window, ...]) -> Plan:
        rng = self.rng
        first = min(rng.lognormvariate(0.0, 0.7), NEVER if windows else WELL) if stream else 0.0
        length = first + rng.lognormvariate(2.0, 0.8) if stream else 0.0
        if not stream:
            head += rng.lognormvariate(2.0, 0.8)
        if fault is Fault.EARLY_CUT and stream:
            return Plan(Kind.TRANSPORT, head, first=first, length=length, cut=first * rng.random(), worked=True)
        if fault is Fault.CUT and stream:
            return Plan(
                Kind.OK, head, first=first, length=length, cut=rng.uniform(first, length), windows=windows, worked=True
            )
        return Plan(Kind.OK, head, first=first, length=length, windows=windows, worked=True)

    def _broken(self, fault: Fault, head: float, stream: bool, model: str, now: float) -> Plan | None:
        match fault:
            case Fault.ERROR:
                return self._error(Kind.SERVER, head, model, now)
            case Fault.CAPACITY:
                return self._error(Kind.CAPACITY, head, model, now)
            case Fault.CONNECT:
                return Plan(Kind.TRANSPORT, 0.02, stage="connect", sent=Sent.NOTHING)
            case Fault.CONNECT_TIMEOUT:
                return Plan(Kind.TRANSPORT, NEVER, stage="connect", sent=Sent.NOTHING)
            case Fault.PARTIAL:
                return Plan(Kind.TRANSPORT, 0.1, stage="write", sent=Sent.PARTIAL)
            case Fault.RESET:
                return Plan(Kind.TRANSPORT, head, stage="head", sent=Sent.ALL, worked=True)
            case Fault.SILENT:
                return Plan(Kind.TRANSPORT, NEVER, stage="head", sent=Sent.ALL, worked=True)
            case Fault.ERROR_EVENT if stream:
                return Plan(Kind.CAPACITY, head, first=0.2, length=0.2, event=self.voice.error_event())
            case Fault.AUTH:
                return self._error(Kind.AUTH, head, model, now)
            case Fault.FORBIDDEN:
                return self._error(Kind.FORBIDDEN, head, model, now)
            case Fault.NO_MONEY:
                return self._error(Kind.QUOTA, head, model, now)
            case Fault.NO_MODEL:
                return self._error(Kind.NO_MODEL, head, model, now)
        return None

    def _error(self, kind: Kind, head: float, model: str, now: float) -> Plan:
        status = self.rng.choice(STATUSES[self.name][kind])
        return self.voice.error(kind, status, min(head, 2.0), self.epoch + now, model)

    def _fault(self, account: str, model: str, now: float) -> Fault | None:
        if now >= self.peace:
            return None
        rng = self.rng
        for episode in self.episodes:
            if episode.start <= now < episode.end and self._concerns(episode, account, model):
                return episode.fault if rng.random() < episode.share else None
        sporadic = [kind for kind in self.weather.kinds if kind not in CREDENTIALS]
        return rng.choice(sporadic) if sporadic and rng.random() < self.weather.sporadic else None

    @staticmethod
    def _concerns(episode: Episode, account: str, model: str) -> bool:
        if episode.account not in ("", account):
            return False
        return episode.fault is not Fault.NO_MODEL or episode.model == model

    def _latency(self) -> float:
        return min(self.rng.lognormvariate(-0.4, 0.6), 60.0)
