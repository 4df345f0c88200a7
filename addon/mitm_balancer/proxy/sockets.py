"""Inside an open WebSocket: limits arrive as frames (client-facts: Codex), not as statuses.

A refusal of the account is kept from the client and the socket is closed with 1012 (service restart): the client
reconnects, sends its whole input again, and the handshake goes to another account.
"""

from __future__ import annotations

import logging
import time

from mitmproxy import http
from mitmproxy.websocket import WebSocketMessage

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.durations import countdown
from mitm_balancer.core.order import Order
from mitm_balancer.core.tail import Tail
from mitm_balancer.core.verdict import Outcome
from mitm_balancer.providers.classify import classify_event
from mitm_balancer.providers.model import Provider
from mitm_balancer.proxy import fields, logins, metering
from mitm_balancer.proxy.outlet import Outlet, StreamOutlet
from mitm_balancer.proxy.runtime import Account, Claim, Runtime
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.upstream.base import RawHeaders

logger = logging.getLogger(__name__)

SERVICE_RESTART = 1012
"""RFC 6455's registry: "the client may reconnect". Codex and its kin do so at once (wire-facts 3.1)."""


def is_upgrade(request: http.Request) -> bool:
    """Whether the client wants to switch to WebSocket."""
    return (fields.first(request.headers.fields, b"upgrade") or b"").lower() == b"websocket"


class SocketWatch:
    """Reads what the provider sends over one socket. Frames of the client are its own affair."""

    def __init__(self, provider: Provider, dialect: Dialect, handshake: RawHeaders, model: str) -> None:
        self.provider, self.handshake, self.model = provider, handshake, model
        self.tail = Tail(dialect)

    def look(self, message: WebSocketMessage) -> Outcome | None:
        """What this frame says about the account; None: nothing."""
        if message.from_client or not message.is_text:
            return None
        self.tail.frame(message.content)
        if self.tail.error is None:
            return None
        payload, self.tail.error = self.tail.error, None
        return classify_event(self.provider, payload, headers=self.handshake, now=time.time(), model=self.model or None)


class OpenSocket:
    """A socket between a client and an account. Implements `runtime.SocketListener`."""

    def __init__(
        self, runtime: Runtime, claim: Claim, account: Account, watch: SocketWatch, outlet: Outlet, order: Order
    ) -> None:
        """`order`: those that may take over."""
        self.runtime, self.claim, self.account, self.watch = runtime, claim, account, watch
        self._outlet, self._order = outlet, order

    def message(self, message: WebSocketMessage) -> None:
        """A frame: a refusal of the account moves the client to another one."""
        outcome = self.watch.look(message)
        model = self.watch.model
        metering.framed(self.runtime, self.account.name, self.claim.dialect, model, self.watch.tail)
        if outcome is None:
            return
        renewing = logins.learn(self.runtime, self.account, model, outcome)
        if not outcome.definite_refusal or not (renewing or self._somebody_else(model)):
            return  # nobody else could do better: the client hears it from the provider
        message.drop()
        wait = "" if outcome.wait is None else f", back in {countdown(outcome.wait)}"
        logger.info(
            "mitm-balancer: %s: %s (%s)%s inside a socket: it is closed for a reconnect",
            self.account.name, outcome.verdict.value, outcome.reason, wait,
        )  # fmt: skip
        if isinstance(self._outlet, StreamOutlet):
            spawn(self._outlet.close_socket(SERVICE_RESTART, "another account takes over"), "balancer socket")

    def _somebody_else(self, model: str) -> bool:
        chosen = self._order.select(model, self.runtime.health, self.runtime.clock()).chosen
        return chosen is not None and chosen.name != self.account.name
