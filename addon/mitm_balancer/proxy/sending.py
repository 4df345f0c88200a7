"""The client's request with the client's own credential: sent as it is, without an account and without a verdict."""

from __future__ import annotations

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import Timeouts, Upstream, UpstreamError, UpstreamResponse, WireRequest

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS"})


async def send_own(upstream: Upstream, request: WireRequest, timeouts: Timeouts) -> UpstreamResponse:
    """Send it, and once more when a kept connection was closed by the server in this very moment: what any HTTP client
    does by itself. Raises UpstreamError."""
    try:
        return await upstream.send(request, timeouts)
    except UpstreamError as e:
        unread = e.stage == "head" and not e.timeout and (request.method in IDEMPOTENT or e.sent is not Sent.ALL)
        if not (unread and isinstance(request.body, bytes)):
            raise
        return await upstream.send(request, timeouts)
