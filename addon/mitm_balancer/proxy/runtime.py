"""What the proxy side works with: one object that the composition root fills and a reload refills.

A request takes what it needs at its start and keeps it to its end, so a reload never pulls anything from under it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mitmproxy import http
from mitmproxy.websocket import WebSocketMessage

from mitm_balancer.core.admission import Admission
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.dispatch import Dispatch, DispatchPolicy
from mitm_balancer.core.health import Cooldown, Health
from mitm_balancer.core.matrix import Matrix
from mitm_balancer.core.order import Order
from mitm_balancer.core.patience import Patience
from mitm_balancer.core.pins import Pin
from mitm_balancer.core.priority import Circumstances, Priority
from mitm_balancer.core.scope import ScopeLearner
from mitm_balancer.core.verdict import Outcome
from mitm_balancer.ops.events import EventType
from mitm_balancer.providers.edits import edit_path
from mitm_balancer.providers.model import PathKind, PathRule, Provider
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy.bound import Resources
from mitm_balancer.proxy.logins import Logins, NoLogins
from mitm_balancer.proxy.session import Sessions
from mitm_balancer.proxy.wire import Carrier, Hidden
from mitm_balancer.upstream.base import Origin, Timeouts, Upstream, UpstreamResponse
from mitm_balancer.usage.book import Book


@dataclass(frozen=True, slots=True)
class Account:
    """An account as an attempt needs it."""

    name: str
    alias: str
    provider: Provider
    carrier: Carrier | None
    """None: its credential could not be read."""
    gone: frozenset[bytes] = frozenset()
    """Request headers that never go out with this credential."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """Ids beside the credential, by the words of `Provider.account_headers` and its like."""
    origin: Origin | None = None
    """Where its attempts go; None: where the client went."""
    base_path: str = ""
    host: bytes | None = None
    """The Host field for `origin`."""
    renewable: bool = False
    """Its credential is a login that renews itself (`Runtime.logins`)."""

    @property
    def beside(self) -> tuple[tuple[bytes, bytes], ...]:
        """Companion headers of this account's own."""
        known = self.identity
        return tuple((h.encode(), known[w].encode()) for h, w in self.provider.account_headers if w in known)

    @property
    def edits_body(self) -> bool:
        """Whether something in the body belongs to the account and is known."""
        return any(word in self.identity for _, word in self.provider.account_body)

    def edit_path(self, path: str) -> str:
        """The path with what belongs to the account in it."""
        return edit_path(self.provider, self.identity, path) if self.provider.account_path else path


@dataclass(slots=True)
class ProviderPool:
    """All accounts of one provider, and what is known about them together."""

    provider: Provider
    accounts: Mapping[str, Account]
    priority: Priority
    budget: RetryBudget


@dataclass(frozen=True, slots=True)
class Claim:
    """What the tables say about one request."""

    pool: ProviderPool
    kind: PathKind
    rule: PathRule | None

    @property
    def dialect(self) -> Dialect:
        """What is spoken on this path."""
        return (self.rule.dialect if self.rule is not None else None) or self.pool.provider.dialect

    def carrier(self, request: http.Request, account: Account) -> Carrier | None:
        """The account's credential, placed as this path wants it; None: it has none to send."""
        rule, carrier = self.rule, account.carrier
        if carrier is None or rule is None or rule.auth is None:
            return carrier
        names = {name.decode("latin-1").lower() for name, _ in request.headers.fields}
        auth = account.provider.auth_for(rule, carrier.credential, names)
        return dataclasses.replace(carrier, form=dataclasses.replace(carrier.form, auth=auth))


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes, from the contract's `policy`."""

    connect: float = 10.0
    first_byte: float | None = 120.0
    response: float | None = 600.0
    first_token: float | None = None
    """None: learnt (`auto`); 0: off."""
    commit_hold: float = 30.0
    idle: float | None = 300.0
    replay: int = 32 * 1024 * 1024
    resume: str = "error"

    def first_token_limit(self, learnt: float | None) -> float | None:
        """The limit for a stream's first meaningful event; None: none."""
        return learnt if self.first_token is None else self.first_token or None

    def own_way(self) -> Timeouts:
        """For what is not ours to judge: a client that polls for an hour may do so."""
        return Timeouts(connect=self.connect, head=None, idle=None)

    def timeouts(self, *, stream: bool) -> Timeouts:
        return Timeouts(connect=self.connect, head=self.first_byte if stream else self.response, idle=self.idle)


class Recorder(Protocol):
    """Where decisions are remembered. Every method returns at once and never raises."""

    def cooldown(self, cooldown: Cooldown) -> None: ...

    def step(self, type: EventType, at: float, record: Mapping[str, Any], detail: object) -> None:
        """A request has come that far (`ops.steps`). At COMPLETED the record is whole: it is the trace."""

    def event(
        self, type: EventType, account: str = "", message: str = "", data: Mapping[str, object] | None = None
    ) -> None:
        """Something that an operator wants to know. `account`: provider/alias, a provider, or nobody; `data`: never a
        secret; among it may be `request_id`, `provider` and `model`."""


class Listener(Protocol):
    """Learns from the agents' own logins (`proxy.capture`). Every method returns at once and never raises."""

    def wants(self, registry: Registry, host: str, port: int) -> bool:
        """Whether a host is intercepted although no account could serve it."""

    def claim(self, registry: Registry, host: str, port: int, method: str, path: str) -> Claim | None:
        """How a request to such a host passes with the client's own credential."""

    def balanced(self, claim: Claim, request: http.Request, hidden: Hidden) -> None:
        """An account will serve this request."""

    def passing(
        self, claim: Claim, request: http.Request, hidden: Hidden, body: bytes | None, response: UpstreamResponse
    ) -> UpstreamResponse:
        """The answer to a request with the client's own credential, as it is to be passed on.

        `body`: the request's, where it was kept out of the flow.
        """


class NoListener:
    """Learns nothing."""

    def wants(self, *_: object) -> bool:
        return False

    def claim(self, *_: object) -> Claim | None:
        return None

    def balanced(self, *_: object) -> None: ...

    def passing(self, *seen: Any) -> UpstreamResponse:
        response: UpstreamResponse = seen[-1]
        return response


class SocketListener(Protocol):
    """Hears the messages of an open WebSocket."""

    def message(self, message: WebSocketMessage) -> None: ...

    def ended(self, *, by_client: bool) -> None: ...


class NoRecorder:
    """Remembers nothing."""

    def cooldown(self, cooldown: Cooldown) -> None: ...

    def step(self, type: EventType, at: float, record: Mapping[str, Any], detail: object) -> None: ...

    def event(
        self, type: EventType, account: str = "", message: str = "", data: Mapping[str, object] | None = None
    ) -> None: ...


@dataclass(slots=True)
class Runtime:
    """Everything a call uses."""

    registry: Registry
    pools: Mapping[str, ProviderPool]
    health: Health
    upstream: Upstream
    policy: DispatchPolicy = field(default_factory=DispatchPolicy)
    limits: Limits = field(default_factory=Limits)
    matrix: Matrix = field(default_factory=Matrix)
    pins: tuple[Pin, ...] = ()
    recorder: Recorder = field(default_factory=NoRecorder)
    listener: Listener = field(default_factory=NoListener)
    scope: ScopeLearner = field(default_factory=ScopeLearner)
    patience: Patience = field(default_factory=Patience)
    around: Circumstances = field(default_factory=Circumstances)
    admission: Admission = field(default_factory=Admission)
    sessions: Sessions = field(default_factory=Sessions)
    book: Book = field(default_factory=Book)
    resources: Resources = field(default_factory=Resources)
    # Jitter, not cryptography.
    rng: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.monotonic
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the credentials have been read; requests wait for it."""
    insecure: bool = False
    """`ssl_insecure`: no account's credential is sent."""
    standing_in: dict[tuple[str, str], str] = field(default_factory=dict)
    """(provider, model) of clients -> the provider that served them last, where that is another one."""
    logins: Logins = field(default_factory=NoLogins)
    sockets: dict[str, SocketListener] = field(default_factory=dict)
    """Those that are open, by the id of their flow."""
    warm: Callable[[Origin], None] = lambda _: None

    def claims(self, host: str, port: int) -> bool:
        """Whether connections to this host are intercepted: a provider claims it, and an account could serve it."""
        served = any(provider.name in self.pools for provider in self.registry.claim(host, port))
        return served or self.listener.wants(self.registry, host, port)

    def claim(self, host: str, port: int, method: str, path: str) -> Claim | None:
        """The pool and the kind of one request; None when no account could serve the host."""
        first: Claim | None = None
        for provider in self.registry.claim(host, port):
            pool = self.pools.get(provider.name)
            if pool is None:
                continue
            rule = provider.rule_for(method, path.partition("?")[0])
            if rule is not None:
                return Claim(pool, rule.kind, rule)
            first = first or Claim(pool, PathKind.CONTROL, None)
        return first or self.listener.claim(self.registry, host, port, method, path)

    def dispatch(self, pool: ProviderPool, model: str, policy: DispatchPolicy, order: Order | None = None) -> Dispatch:
        """The state machine of a new request. `order`: those who may serve it; None: the pool's own."""
        return Dispatch(
            provider=pool.provider.name,
            model=model,
            priority=pool.priority if order is None else order,
            health=self.health,
            budget=pool.budget,
            scope=self.scope,
            policy=policy,
            started=self.clock(),
            rng=self.rng,
            on_cooldown=self.recorder.cooldown,
        )

    def learn(self, name: str, model: str, outcome: Outcome) -> None:
        """What an answer said of its account after it was committed, for the requests to come."""
        now, known = self.clock(), self.around.known
        known.vitals.ended(name, model, outcome, 0.0, now)
        cooldown = self.health.record(name, model, outcome, now)
        if cooldown is not None:
            self.recorder.cooldown(cooldown)
            if cooldown.about_quota:
                known.evidence.learnt(name, cooldown.model, cooldown.until, now)

    def forget(self, name: str, model: str | None = None) -> None:
        """Nothing that was learnt holds any more: its cooldowns, its breaker, how full it is; or those of one model."""
        self.health.clear(name, model)
        self.around.known.evidence.forget(name, model)

    def warm_up(self, host: str, port: int) -> None:
        """A client connects: have a connection to the likely target ready when its request arrives."""
        for provider in self.registry.claim(host, port):
            if (pool := self.pools.get(provider.name)) is None:
                continue
            chosen = pool.priority.select("", self.health, self.clock()).chosen
            if chosen is not None:
                self.warm(pool.accounts[chosen.name].origin or Origin("https", host, port))
            return


def new_request_id() -> str:
    """Twelve hex digits: enough to tell the newest thousands apart, short enough to type."""
    return secrets.token_hex(6)
