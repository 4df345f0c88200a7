"""What the proxy learns from the logins of the agents themselves.

While the window is open (`balancer accounts capture`), the hosts of all providers are intercepted, and a credential
that is no account yet is put before the user. At all times, an agent that renews a login which is also an account's
renews it for that account, too. Every byte passes as it came; what is read is a copy, on the side, after the fact.
Whatever goes wrong here is told, and nothing else happens.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator

from mitmproxy import http

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.exchange import read_exchange
from mitm_balancer.accounts.following import Fate, follows, learn
from mitm_balancer.accounts.model import AccountError, Credential, StoredAccount
from mitm_balancer.accounts.oauth.services import ROTATING
from mitm_balancer.accounts.sighting import sighted
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.decoding import decode
from mitm_balancer.core.priority import Priority
from mitm_balancer.operations.capture_window import until_of
from mitm_balancer.ops.events import EventType
from mitm_balancer.providers.logins import TokenEndpoint, endpoint_for, endpoints_at
from mitm_balancer.providers.model import PathKind, Provider
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy.attempt import header
from mitm_balancer.proxy.overheard import Overheard
from mitm_balancer.proxy.runtime import Claim, ProviderPool
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.proxy.wire import Hidden
from mitm_balancer.upstream.base import UpstreamResponse

logger = logging.getLogger(__name__)

REMEMBERED = 1000
"""Credentials that were looked at already, so that each costs the store one look."""

REFUSED = (401, 403)
"""What the provider itself does not take is no account."""


class Capture:
    """One per running proxy. Implements `proxy.runtime.Listener`."""

    def __init__(
        self,
        book: AccountBook | None,
        changed: Callable[[], Awaitable[None]],
        event: Callable[[EventType, str, str], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._book, self._changed, self._event, self._wall = book, changed, event, wall
        self.until = 0.0
        self._open = False
        """It was when we looked last."""
        self._followed: frozenset[str] = frozenset()
        """Providers with tokens for one use, of which an account lives on a login that an agent may renew."""
        self._seen: dict[str, None] = {}
        self._told: set[str] = set()

    def adopt(self, setting: object, accounts: Iterable[StoredAccount]) -> None:
        """The store's setting and accounts, as they are now."""
        before, self.until = self.until, until_of(setting)
        if self.until != before:  # by the operator, who is told by the command
            self._open = self.on
        self._followed = ROTATING.intersection(account.provider for account in accounts if follows(account))
        if not self.on:
            self._forget()

    def look(self) -> None:
        """Tell when the window has ended by itself. Every half second, on the event loop."""
        if self._open and not self.on:
            self._open = False
            self._forget()
            text = "the window of capture has ended: nothing is captured any more"
            logger.info("mitm-balancer: %s (balancer accounts pending shows what came)", text)
            self._event(EventType.CAPTURE_ENDED, "", text)

    def _forget(self) -> None:
        self._seen.clear()
        self._told.clear()

    @property
    def on(self) -> bool:
        """Whether the window is open."""
        return self._book is not None and self._wall() < self.until

    # -- what is intercepted ------------------------------------------------------------------------------------

    def wants(self, registry: Registry, host: str, port: int) -> bool:
        """Whether a host is intercepted although no account could serve it."""
        if self._book is None:
            return False
        if any(self._hears(one) for one in endpoints_at(host, port)):
            return True
        return self.on and bool(registry.claim(host, port))

    def claim(self, registry: Registry, host: str, port: int, method: str, path: str) -> Claim | None:
        """A claim that passes everything on with the client's own credential; None for a host that is not wanted."""
        if not self.wants(registry, host, port):
            return None
        first: Claim | None = None
        for provider in registry.claim(host, port):
            rule = provider.rule_for(method, path.partition("?")[0])
            claim = Claim(_nobody(provider), PathKind.CONTROL, rule)
            if rule is not None and rule.kind is not PathKind.CONTROL:
                return claim
            first = first or claim
        for one in endpoints_at(host, port):
            of = registry.get(one.provider)
            if of is not None:
                first = first or Claim(_nobody(dataclasses.replace(of, paths=())), PathKind.CONTROL, None)
        return first

    def _hears(self, endpoint: TokenEndpoint) -> bool:
        """Interception of a login's own host is as rare as can be: the window, or a pair that two hold."""
        return self.on or endpoint.provider in self._followed

    # -- what is heard ------------------------------------------------------------------------------------------

    def balanced(self, claim: Claim, request: http.Request, hidden: Hidden) -> None:
        """A request that an account will serve: the client's own credential is not sent, but seen."""
        if self.on:
            self._look(claim, request, hidden)

    def passing(
        self, claim: Claim, request: http.Request, hidden: Hidden, body: bytes | None, response: UpstreamResponse
    ) -> UpstreamResponse:
        """The head of an answer to the client's own request has come: the answer as it is to be passed on."""
        try:
            endpoint = endpoint_for(claim.pool.provider, request.host, request.port, request.path)
            if endpoint is not None and self._hears(endpoint) and response.status == 200 and body:
                coding = header(response, b"content-encoding")
                told = body  # a copy of the name: `body` is the request's
                return Overheard(response, lambda answer: self._hear(endpoint, told, decode(answer, coding)))
            inference = claim.rule is not None and claim.rule.kind is not PathKind.CONTROL
            if self.on and inference and response.status not in REFUSED:
                self._look(claim, request, hidden)
        except Exception:  # the border of a bystander: the agent's own login must not suffer
            logger.exception("mitm-balancer: capture failed; the request went on untouched")
        return response

    def _look(self, claim: Claim, request: http.Request, hidden: Hidden) -> None:
        try:
            provider = claim.pool.provider
            beside = {name.lower(): value for name, value in request.headers.items()}
            for carried in _carried(hidden):
                found = sighted(provider, carried, beside)
                if found is not None and self._is_new(found):
                    spawn(self._keep(provider, found), "balancer capture")
        except Exception:
            logger.exception("mitm-balancer: capture failed; the request goes on untouched")

    def _is_new(self, credential: Credential) -> bool:
        mark = credential.secret.fingerprint()
        if mark in self._seen:
            return False
        self._seen[mark] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    async def _keep(self, provider: Provider, credential: Credential) -> None:
        assert self._book is not None
        try:
            found = await asyncio.to_thread(self._book.capture, provider.name, credential, "capture")
        except AccountError as error:
            self._seen.pop(credential.secret.fingerprint(), None)
            logger.warning("mitm-balancer: a credential for %s was seen but cannot be kept: %s", provider.name, error)
            return
        if found is not None:
            self._say_pending(provider.name, found.id)

    def _hear(self, endpoint: TokenEndpoint, request: bytes, answer: bytes) -> None:
        spawn(self._learn(endpoint, request, answer), "balancer capture")

    async def _learn(self, endpoint: TokenEndpoint, request: bytes, answer: bytes) -> None:
        assert self._book is not None
        exchange = read_exchange(endpoint, request, answer, self._wall())
        if exchange is None:
            return
        try:
            followed = await asyncio.to_thread(learn, self._book, exchange, capturing=self.on, now=self._wall())
        except AccountError as error:
            logger.warning("mitm-balancer: an agent renewed a login of %s, unheard: %s", endpoint.provider, error)
            return
        if followed.fate is Fate.PENDING:
            self._say_pending(endpoint.provider, followed.name)
        elif followed.fate is Fate.RENEWED:
            logger.info("mitm-balancer: %s: its agent renewed the login, the stored one follows", followed.name)
            self._event(EventType.TOKEN_REFRESHED, followed.name, f"{followed.name} was renewed by its agent")
            await self._changed()
        elif followed.fate is Fate.LATE:
            logger.warning(
                "mitm-balancer: %s was renewed by its agent and here at once: one of the two may have to log in again",
                followed.name,
            )

    def _say_pending(self, provider: str, pending: str) -> None:
        if pending not in self._told:
            self._told.add(pending)
            logger.info(
                "mitm-balancer: a credential for %s was seen that is no account yet: balancer accounts accept %s",
                provider,
                pending,
            )


def _carried(hidden: Hidden) -> Iterator[str]:
    """Every credential that the client brought, as bare text."""
    for name, value in hidden.headers:
        text = value.decode("latin-1")
        if name == b"authorization":
            scheme, _, rest = text.partition(" ")
            if scheme.lower() in ("bearer", "token"):
                yield rest.strip()
        elif name not in (b"cookie", b"proxy-authorization"):
            yield text.strip()
    yield from hidden.queries


def _nobody(provider: Provider) -> ProviderPool:
    """A pool that serves nothing: its requests go the client's own way."""
    return ProviderPool(provider, {}, Priority(()), RetryBudget())
