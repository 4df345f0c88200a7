"""Answers of our own, in the provider's JSON shape (P11)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

from mitmproxy import http
from mitmproxy.net.http import status_codes

from mitm_balancer.core.dispatch import Dispatch, Stop
from mitm_balancer.core.durations import countdown
from mitm_balancer.providers.errors import error_body
from mitm_balancer.providers.model import Dialect
from mitm_balancer.proxy import logins

SHORT_WAIT = 60.0
"""Seconds up to which a client may wait by itself. Longer ones also get `x-should-retry: false`: the SDKs would sleep
for hours (wire-facts X3-X6), and a person at a terminal wants to know at once."""


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """An answer of ours: head and body."""

    response: http.Response
    body: bytes


def exhausted(
    dialect: Dialect, dispatch: Dispatch, stop: Stop, now: float, extra: tuple[bytes, bytes], *, who: str = ""
) -> OwnAnswer:
    """Every account is cooling: a 429 that names each account, why, and until when. `now` is monotonic; `who` is said
    instead where there is but one that may serve."""
    wait = math.ceil(stop.wait or 0.0)
    who = who or f"every {dispatch.provider} account is out"
    message = f"mitm-balancer: {who}: {'; '.join(_reasons(dispatch, now))}"
    fields = [(b"retry-after", b"%d" % max(1, wait))]
    if wait > SHORT_WAIT:
        fields.append((b"x-should-retry", b"false"))
    return _make(dialect, 429, _exhausted_code(dialect, wait), message, (*fields, extra), wait)


def _exhausted_code(dialect: Dialect, wait: float) -> str:
    """The dialect's word. Codex sleeps for the whole `retry-after` whatever `x-should-retry` says, hours included, and
    tells its user at once only of an empty quota (measured)."""
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return "rate_limit_error"
    return "insufficient_quota" if wait > SHORT_WAIT else "rate_limit_exceeded"


def nobody(stop: Stop, dispatch: Dispatch) -> str:
    """Why no account can serve, and what each of them lacks: what a person can cure stands there."""
    told = {name: outcome.message for name, outcome in dispatch.attempts if logins.over(outcome)}
    lacks = [told.get(r.name, f"{r.name}: {r.block.reason}") for r in dispatch.rejected]
    return f"{stop.because} ({'; '.join(lacks)})" if lacks else stop.because


def pinned(dialect: Dialect, dispatch: Dispatch, who: str, now: float, extra: tuple[bytes, bytes]) -> OwnAnswer:
    """The one account that may serve is no such thing, or not by waiting. A 503 that says so: not even the client's own
    credential may take its place."""
    why = "; ".join(_reasons(dispatch, now)) or "there is no such account"
    message = f"mitm-balancer: {who}: {why}"
    return _make(dialect, 503, "api_error", message, ((b"x-should-retry", b"false"), extra))


def failed(dialect: Dialect, status: int, message: str, extra: tuple[bytes, bytes]) -> OwnAnswer:
    """No answer to pass on: 502 (an upstream that cannot be reached), 503 (nobody to ask), 504 (too slow); or 400."""
    code = "invalid_request_error" if status == 400 else "api_error"
    return _make(dialect, status, code, f"mitm-balancer: {message}", (extra,))


OVERLOAD_RETRY = 5
"""Seconds after which a client may try again: slots come free with every answer that ends."""


def overloaded(dialect: Dialect, message: str, extra: tuple[bytes, bytes]) -> OwnAnswer:
    """Too much runs here already: what the provider says of itself (529 is Anthropic's), which SDKs retry."""
    anthropic = dialect is Dialect.ANTHROPIC_MESSAGES
    status, code = (529, "overloaded_error") if anthropic else (503, "server_is_overloaded")
    return _make(dialect, status, code, f"mitm-balancer: {message}", ((b"retry-after", b"%d" % OVERLOAD_RETRY), extra))


def _make(
    dialect: Dialect,
    status: int,
    code: str,
    message: str,
    fields: Iterable[tuple[bytes, bytes]],
    wait: float | None = None,
) -> OwnAnswer:
    body = error_body(dialect, status, code, message, wait)
    headers = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *fields)
    reason = status_codes.RESPONSES.get(status, "").encode()
    response = http.Response(b"HTTP/1.1", status, reason, http.Headers(headers), None, None, time.time(), None)
    response.stream = True
    return OwnAnswer(response, body)


def _reasons(dispatch: Dispatch, now: float) -> list[str]:
    parts = []
    for target in dispatch.priority.targets:
        block = dispatch.priority.blocked(target, dispatch.model, dispatch.health, now)
        if block is None:
            outcome = next((o for name, o in reversed(dispatch.attempts) if name == target.name), None)
            parts.append(f"{target.name} {outcome.reason if outcome else 'unavailable'}")
        elif block.until is None:
            parts.append(f"{target.name} {block.reason}")
        else:
            parts.append(f"{target.name} {block.reason}, back in {countdown(block.until - now)}")
    return parts
