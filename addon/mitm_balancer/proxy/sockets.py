"""Inside an open WebSocket: limits arrive as frames (client-facts: Codex), not as statuses.

A refusal of the account is kept from the client and the socket is closed with 1012 (service restart): the client
reconnects, sends its whole input again, and the handshake goes to another account. The same with the next question of
a socket whose account has since been paused, disabled or removed.
"""

from __future__ import annotations

import logging
import time

from mitmproxy import http
from mitmproxy.websocket import WebSocketMessage

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.dispatch import Dispatch
from mitm_balancer.core.durations import countdown
from mitm_balancer.core.leaving import soonest
from mitm_balancer.core.switching import CACHE_LIFE
from mitm_balancer.core.tail import Tail
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.providers.classify import classify_event
from mitm_balancer.providers.model import Provider
from mitm_balancer.proxy import fields, logins, metering
from mitm_balancer.proxy.answers import SHORT_WAIT
from mitm_balancer.proxy.outlet import Outlet, StreamOutlet
from mitm_balancer.proxy.runtime import Account, Claim, Runtime
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.upstream.base import RawHeaders

logger = logging.getLogger(__name__)

_ASKS = b'"response.create"'
_FAR = 4096
"""Bytes of a frame in which its type stands: it is the first field of what Codex sends (client-facts)."""

SERVICE_RESTART = 1012
"""RFC 6455's registry: "the client may reconnect". Codex and its kin do so at once (wire-facts 3.1)."""


def is_upgrade(request: http.Request) -> bool:
    """Whether the client wants to switch to WebSocket."""
    return (fields.first(request.headers.fields, b"upgrade") or b"").lower() == b"websocket"


class SocketWatch:
    """Reads what the provider sends over one socket. Of the client's frames only that they ask for an answer."""

    def __init__(self, provider: Provider, dialect: Dialect, handshake: RawHeaders, model: str) -> None:
        self.provider, self.handshake, self.model = provider, handshake, model
        self.tail = Tail(dialect)
        self.answering = False
        """An answer was asked for and has not ended."""

    def asks(self, message: WebSocketMessage) -> bool:
        """Whether new work begins with this frame."""
        return message.from_client and message.is_text and not self.answering and _ASKS in message.content[:_FAR]

    def look(self, message: WebSocketMessage) -> Outcome | None:
        """What this frame says about the account; None: nothing."""
        if not message.is_text:
            return None
        if message.from_client:
            self.answering = self.answering or _ASKS in message.content[:_FAR]
            return None
        self.tail.frame(message.content)
        self.answering = self.answering and not self.tail.saw_terminal and self.tail.error is None
        if self.tail.error is None:
            return None
        payload, self.tail.error = self.tail.error, None
        return classify_event(self.provider, payload, headers=self.handshake, now=time.time(), model=self.model or None)


class OpenSocket:
    """A socket between a client and an account. Implements `runtime.SocketListener`."""

    def __init__(
        self, runtime: Runtime, claim: Claim, account: Account, watch: SocketWatch, outlet: Outlet, dispatch: Dispatch
    ) -> None:
        """`dispatch`: that of the handshake, which knows who may take over and whose session it is."""
        self.runtime, self.claim, self.account, self.watch = runtime, claim, account, watch
        self._outlet, self._order, self._tie = outlet, dispatch.priority, dispatch.tie

    def message(self, message: WebSocketMessage) -> None:
        """A frame: a refusal of the account moves the client to another one, and so does the operator."""
        if self.watch.asks(message) and (why := self._gone()):
            self._move(message, why)
            return
        outcome = self.watch.look(message)
        model, now = self.watch.model, self.runtime.clock()
        usage = metering.framed(self.runtime, self.account.name, self.claim.dialect, model, self.watch.tail)
        if usage is not None and self._tie is not None:
            self._tie.used(self.account.name, model, usage.input, CACHE_LIFE, now)
        if outcome is None:
            return
        renewing = logins.learn(self.runtime, self.account, model, outcome)
        if outcome.server_failure:
            self._shun(now)
        if not outcome.definite_refusal or not (renewing or self._better_elsewhere(model, now)):
            return  # nobody else could do better: the client hears it from the provider
        wait = "" if outcome.wait is None else f", back in {countdown(outcome.wait)}"
        self._move(message, f"{outcome.verdict.value} ({outcome.reason}){wait}")

    def ended(self, *, by_client: bool) -> None:
        """It is closed. In the middle of an answer, and not by the client: that is an interruption."""
        if not self.watch.answering or by_client:
            return
        text = "the socket ended in the middle of an answer"
        outcome = Outcome(Verdict.INTERRUPTED_EXECUTION, "socket", Scope.ACCOUNT, message=text)
        logger.info("mitm-balancer: %s: %s", self.account.name, text)
        self.runtime.learn(self.account.name, self.watch.model, outcome)
        self._shun(self.runtime.clock())

    def _gone(self) -> str:
        """Why the account gets no new work by the operator's word; empty: it does. A drained one keeps its sessions."""
        pool = self.runtime.pools.get(self.account.provider.name)
        if pool is None or self.account.name not in pool.accounts:
            return "the account is gone"
        state = self.runtime.around.states.of(self.account.name, self.account.provider.name)
        return "" if state in ("", "drained") else f"the account is {state}"

    def _move(self, message: WebSocketMessage, why: str) -> None:
        """Keep this frame back, and have the client come again."""
        message.drop()
        logger.info("mitm-balancer: %s: %s inside a socket: it is closed for a reconnect", self.account.name, why)
        if isinstance(self._outlet, StreamOutlet):
            spawn(self._outlet.close_socket(SERVICE_RESTART, "another account takes over"), "balancer socket")

    def _shun(self, now: float) -> None:
        """The client comes back with a handshake: another account is to answer that one."""
        if self._tie is not None:
            self._tie.shun(self.account.name, now)

    def _better_elsewhere(self, model: str, now: float) -> bool:
        """Whether a new handshake does better than this answer: another account is there, or nobody is for long, which
        our own error tells. Codex sleeps for as long as the provider's says, and a user would sit and wait."""
        health = self.runtime.health
        selection = self._order.select(model, health, now)
        if selection.chosen is not None:
            return selection.chosen.name != self.account.name
        wait = soonest(self._order, model, health, now, ())
        return bool(selection.busy) or (wait is not None and wait > SHORT_WAIT)
