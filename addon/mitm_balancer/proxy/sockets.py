"""Inside an open WebSocket: limits arrive as frames (client-facts: Codex), not as statuses.

A refusal of the account is kept from the client and the socket is closed with 1012 (service restart): the client
reconnects, sends its whole input again, and the handshake goes to another account.
"""

from __future__ import annotations

import time

from mitmproxy import http
from mitmproxy.websocket import WebSocketMessage

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.tail import Tail
from mitm_balancer.core.verdict import Outcome
from mitm_balancer.providers.classify import classify_event
from mitm_balancer.providers.model import Provider
from mitm_balancer.upstream.base import RawHeaders

SERVICE_RESTART = 1012
"""RFC 6455's registry: "the client may reconnect". Codex and its kin do so at once (wire-facts 3.1)."""


def is_upgrade(request: http.Request) -> bool:
    """Whether the client wants to switch to WebSocket."""
    return bool(request.headers.get("upgrade", "").lower() == "websocket")


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
