"""A small question of our own to a provider's other endpoints (tokens, quotas): one request, one whole answer.

It goes over the same pool as the attempts, so the same TLS settings and the same proxy hold for it. No redirect is
followed: a credential must not travel on.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mitm_balancer import __version__
from mitm_balancer.config.urls import is_loopback
from mitm_balancer.core.decoding import decode
from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import Origin, RawHeaders, Timeouts, Upstream, UpstreamError, WireRequest

TIMEOUT = 30.0
"""Seconds for all of it. Token endpoints answer within two; the rest is for a bad network."""

CONNECT = 10.0
"""Seconds of it for the connection: the contract's `connect_timeout_ms`."""

LIMIT = 1024 * 1024
"""Bytes of body. Answers of tokens and quotas are a few kilobytes."""

USER_AGENT = f"mitm-balancer/{__version__}"
"""Who we are, said plainly: no client is imitated. GitHub refuses requests without one."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: any status, redirects and errors too."""

    status: int
    headers: RawHeaders = field(repr=False)
    body: bytes = field(repr=False)
    """Whole, content coding undone."""

    def header(self, name: str) -> str:
        """The first value of a field, or "". `name` is lower case."""
        return next((value.decode("latin-1") for n, value in self.headers if n.lower() == name.encode()), "")

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


async def ask(
    upstream: Upstream,
    method: str,
    url: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    timeout: float = TIMEOUT,
    limit: int = LIMIT,
    fresh: bool = False,
) -> Told:
    """Send it and read the answer. Host, length, `accept` and `user-agent` are added where `headers` has none.

    Raises UpstreamError: `sent` tells whether the other side may have acted on it. `https://` only; plain `http://` is
    for this machine itself. `fresh`: see `WireRequest`; for what must not be sent twice.
    """
    request = dataclasses.replace(_request(method, url, tuple(headers), body), fresh=fresh)
    ends = asyncio.get_running_loop().time() + timeout
    response = await upstream.send(request, Timeouts(connect=min(CONNECT, timeout), head=timeout, idle=timeout))
    try:
        async with asyncio.timeout_at(ends):
            parts: list[bytes] = []
            size = 0
            while data := await response.read():
                parts.append(data)
                size += len(data)
                if size > limit:
                    raise UpstreamError("body", f"an answer of more than {limit} bytes", sent=Sent.ALL)
    except TimeoutError:
        raise UpstreamError("body", f"no whole answer within {timeout:g} s", sent=Sent.ALL, timeout=True) from None
    finally:
        response.close()
    told = Told(response.status, response.headers, b"".join(parts))
    coding = told.header("content-encoding")
    return Told(told.status, told.headers, decode(told.body, coding, limit=limit)) if coding else told


def _request(method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes) -> WireRequest:
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port, host = 0, ""
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise UpstreamError("connect", "the address is no https:// URL", sent=Sent.NOTHING)
    own = {name.lower() for name, _ in headers}
    added = [("host", parts.netloc.rpartition("@")[2])]
    added += [(name, value) for name, value in _usual(body, method) if name not in own]
    fields = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in (*added, *headers))
    target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")).encode("latin-1")
    return WireRequest(Origin(parts.scheme, host, port), method.encode(), target, fields, body)


def _usual(body: bytes, method: str) -> list[tuple[str, str]]:
    fields = [("user-agent", USER_AGENT), ("accept", "application/json"), ("accept-encoding", "identity")]
    return [*fields, ("content-length", str(len(body)))] if body or method not in ("GET", "HEAD") else fields
