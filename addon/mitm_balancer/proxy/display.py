"""What people see in mitmweb, mitmproxy and mitmdump: filled in by hand, for mitmproxy has no upstream side here."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import Any

from mitmproxy import certs, connection, ctx, flow, http
from mitmproxy.proxy.layers.http import (
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)

from mitm_balancer.core.verdict import Outcome
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.upstream.base import ConnInfo, RawHeaders, UpstreamResponse

METADATA = "mitm_balancer"
"""Key of `flow.metadata` under which the decision lies."""

SHOW_DELAY = 0.03
"""Seconds: beyond the time that a redispatch takes, below what a person notices."""

MARK_FAILED = ":red_circle:"
MARK_REDISPATCHED = ":arrows_counterclockwise:"

_RESPONSE_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate"})


def response_head(upstream: UpstreamResponse, extra: RawHeaders) -> http.Response:
    """The head that goes to the client: as it came, without what belongs to our own hop, plus our own fields.

    A field that we set ourselves is said once: another balancer on the way may have set it, too.
    """
    upgrade = upstream.status == 101
    dropped = {name for name, _ in extra} | (frozenset() if upgrade else _RESPONSE_HOP)
    fields = [f for f in upstream.headers if f[0].lower() not in dropped]
    response = http.Response(
        http_version=b"HTTP/1.1",
        status_code=upstream.status,
        reason=upstream.reason,
        headers=http.Headers((*fields, *extra)),
        content=None,
        trailers=None,
        timestamp_start=time.time(),
        timestamp_end=None,
    )
    response.stream = True
    return response


def show_upstream(target: http.HTTPFlow, info: ConnInfo) -> None:
    """Address, TLS and timings of the pooled connection, in the flow's own server connection object."""
    server = connection.Server(address=(info.origin.host, info.origin.port))
    server.peername, server.sockname = info.peername, info.sockname
    server.tls = info.origin.scheme == "https"
    server.sni = info.origin.host if server.tls else None
    server.alpn = info.alpn
    server.cipher = info.cipher
    server.tls_version = info.tls_version  # type: ignore[assignment]
    server.timestamp_start = info.started
    server.timestamp_tcp_setup = info.connected
    server.timestamp_tls_setup = info.tls_done
    server.certificate_list = [c for der in info.certificate_der if (c := _certificate(der)) is not None]
    target.server_conn = server


@functools.lru_cache(maxsize=64)
def _certificate(der: bytes) -> certs.Cert | None:
    from cryptography import x509  # noqa: PLC0415  (slow to import, and only needed when something is shown)

    try:
        return certs.Cert(x509.load_der_x509_certificate(der))
    except ValueError:
        return None


def show_decision(target: http.HTTPFlow, text: str, record: dict[str, Any], *, redispatched: bool) -> None:
    """The final flow's comment, and the record that the content view shows."""
    target.comment = text
    target.metadata[METADATA] = record
    if redispatched and not target.marked:
        target.marked = MARK_REDISPATCHED


def show_failed_attempt(
    original: http.HTTPFlow,
    number: int,
    account: str,
    outcome: Outcome,
    response: http.Response | None,
    record: dict[str, Any],
) -> None:
    """A failed attempt becomes a flow of its own (DESIGN 3.5).

    A moment later, so that copying the flow and running the hooks does not hold up the next attempt.
    """
    arguments = (original, number, account, outcome, response, record)
    asyncio.get_running_loop().call_later(SHOW_DELAY, _show_failed_attempt, *arguments)


def _show_failed_attempt(
    original: http.HTTPFlow,
    number: int,
    account: str,
    outcome: Outcome,
    response: http.Response | None,
    record: dict[str, Any],
) -> None:
    shown = original.copy()
    shown.error = None
    shown.response = response
    shown.live = False
    shown.marked = MARK_FAILED
    shown.comment = f"mitm-balancer: attempt {number} on {account} failed: {outcome.verdict.value} ({outcome.reason})"
    shown.metadata[METADATA] = record
    if response is None:
        shown.error = flow.Error(outcome.message or outcome.reason)
    spawn(_run_hooks(shown), "show failed attempt")


async def _run_hooks(shown: http.HTTPFlow) -> None:
    manager = ctx.master.addons
    await manager.handle_lifecycle(HttpRequestHeadersHook(shown))
    await manager.handle_lifecycle(HttpRequestHook(shown))
    if shown.response is None:
        await manager.handle_lifecycle(HttpErrorHook(shown))
        return
    await manager.handle_lifecycle(HttpResponseHeadersHook(shown))
    await manager.handle_lifecycle(HttpResponseHook(shown))
