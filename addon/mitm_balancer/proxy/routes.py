"""Where one request may go: the accounts of the client's own provider, and those that stand in for it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mitmproxy import http

from mitm_balancer.core.chain import Chain, Link
from mitm_balancer.core.only import Only
from mitm_balancer.core.order import Order
from mitm_balancer.core.pins import Pinned, pinned
from mitm_balancer.core.session import SessionKeys
from mitm_balancer.providers.entries import question
from mitm_balancer.providers.model import PathKind
from mitm_balancer.proxy import bodies, turns
from mitm_balancer.proxy.facts import Facts, decoded
from mitm_balancer.proxy.session import Named
from mitm_balancer.proxy.standin import ANY_MODEL, StandIn, stand_ins
from mitm_balancer.proxy.wire import Carrier, account_target, for_account
from mitm_balancer.upstream.base import Origin, WireRequest

if TYPE_CHECKING:
    from mitm_balancer.proxy.runtime import Account, Claim, Runtime


@dataclass(frozen=True, slots=True)
class Route:
    """One account, and what it is asked for."""

    account: Account
    model: str
    stand_in: StandIn | None = None
    """None: the account is of the provider that the client asks."""

    def carrier(self, request: http.Request, claim: Claim) -> Carrier | None:
        """Its credential, placed as its provider wants it here; None: it has none to send."""
        if self.stand_in is None:
            return claim.carrier(request, self.account)
        return self.stand_in.carrier(request, self.account)

    def wire(
        self, request: http.Request, carrier: Carrier, gone: frozenset[bytes], body: bytes | AsyncIterator[bytes]
    ) -> WireRequest | None:
        """What is sent. `body` is coded as the request says, `gone` are more headers that go; None: it cannot be."""
        account = self.account
        if self.stand_in is not None:
            return self.stand_in.wire(request, account, carrier, body) if isinstance(body, bytes) else None
        return WireRequest(
            origin=account.origin or Origin("https", request.host, request.port),
            method=request.data.method,
            target=account_target(request, carrier, account.base_path, account.edit_path),
            headers=for_account(request, carrier, gone=account.gone | gone, host=account.host, beside=account.beside),
            body=bodies.for_account(body, request, account) if isinstance(body, bytes) else body,
        )


@dataclass(frozen=True, slots=True)
class Routes:
    """All of one request's."""

    claim: Claim
    model: str
    order: Order
    home: Order
    """The accounts of the client's own provider only; nobody, where the matrix switches it off."""
    others: tuple[StandIn, ...] = ()
    away: str | None = None
    """The account of another provider that is to go on with this turn."""
    went: Callable[[str | None], None] = field(default=lambda _: None, repr=False)
    """Tell which account of another provider has served the conversation; None: the home has."""

    pin: Pinned | None = None
    """The one account that may serve."""
    over_http: tuple[StandIn, ...] = ()
    """It opens a socket: those that could serve if it asked over HTTP."""

    def __contains__(self, name: object) -> bool:
        return name in self.claim.pool.accounts or any(name in other.pool.accounts for other in self.others)

    def of(self, name: str) -> Route:
        """The way to the account of that name, which is in `order`."""
        for other in self.others:
            if (account := other.pool.accounts.get(name)) is not None:
                return Route(account, other.model, other)
        return Route(self.claim.pool.accounts[name], self.model)

    def at_home(self) -> Routes:
        """Without the others: what the request speaks of is known nowhere else."""
        return Routes(self.claim, self.model, self.home, self.home, over_http=self.over_http)

    def pinned(self, runtime: Runtime, run: Sequence[str], session: Named | None) -> Routes:
        """With the account only that a pin names, if one concerns this request. A pin to an account that could never
        serve it, because it is of a provider that may not stand in, says nothing about it."""
        if not run and not runtime.pins:
            return self
        provider = self.claim.pool.provider.name
        ids = () if session is None else tuple(filter(None, (session.own, *session.kin)))
        keys = runtime.sessions.keys(provider, ids) if any(pin.session for pin in runtime.pins) else ()
        for pin in pinned(run, runtime.pins, self.model, ids, keys):
            if any(pin.account in other.pool.accounts for other in self.over_http):
                return dataclasses.replace(self, order=Chain((), self.order.around), pin=pin)
            if pin.account in self or pin.account.partition("/")[0] == provider:
                only = Only(self.order, pin.account, f"{pin.by} is pinned to it")
                return dataclasses.replace(self, order=only, away=None, pin=pin)
        return self


def routes(runtime: Runtime, claim: Claim, request: http.Request, known: Facts, *, whole: bool) -> Routes:
    """`whole`: the body is here in full, so that it can be sent elsewhere."""
    provider, own, matrix = claim.pool.provider.name, claim.pool.priority, runtime.matrix
    serves = matrix.serves_itself(provider) or not runtime.policy.failover  # off: as if there were no matrix
    home: Order = own if serves else Chain((), own.around)
    found = _others(runtime, claim, request, known) if whole and runtime.policy.failover else ()
    others, over_http = ((), found) if request.headers.get("upgrade") else (found, ())
    if not others:
        return Routes(claim, known.model, home, home, over_http=over_http)
    key, last = _last(runtime, provider, known)
    before = [_link(other, last) for other in others if matrix.leads(other.row, provider)]
    after = [_link(other, last) for other in others if not matrix.leads(other.row, provider)]
    order = Chain([*before, *([Link(own)] if serves else []), *after], own.around)

    def went(name: str | None) -> None:
        if key is None:
            return
        if name is None:
            runtime.sessions.away.forget(key)
        else:
            runtime.sessions.away.bind(key, name, runtime.clock())

    stays = last is not None and (matrix.across == "stay" or not turns.begins(decoded(request) or b"", claim.dialect))
    return Routes(claim, known.model, order, home, others, last if stays else None, went)


def _last(runtime: Runtime, provider: str, known: Facts) -> tuple[str | None, str | None]:
    """The conversation's key, and the account of another provider that served it last. Each model of a session is one
    of its own: that an agent's small model is out is no reason to leave with the large one."""
    if known.session is None:
        return None, None
    key = runtime.sessions.key(f"{provider}\0{known.model}", known.session)
    if known.session.begins:
        return key, None
    return key, runtime.sessions.away.find(SessionKeys(key), runtime.clock())


def _others(runtime: Runtime, claim: Claim, request: http.Request, known: Facts) -> tuple[StandIn, ...]:
    """Whoever may be asked this. A stored resource, and what names no model, goes to nobody else; the model of a socket
    is told later."""
    if claim.kind is not PathKind.INFERENCE or not runtime.matrix.rows:
        return ()
    socket = bool(request.headers.get("upgrade"))
    asked = question(claim.dialect, "POST" if socket else request.method, request.path.partition("?")[0])
    model = known.model or (ANY_MODEL if socket else "")
    if asked is None or not model:
        return ()
    return tuple(stand_ins(runtime.pools, runtime.matrix, claim.pool.provider, asked, model))


def _link(other: StandIn, last: str | None) -> Link:
    bound = last if last in other.pool.accounts else ""
    return Link(other.pool.priority, other.model, bound, f"in place of {other.home.name}")
