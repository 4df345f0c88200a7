"""Answers of our own, in the provider's JSON shape (P11)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

from mitmproxy import http
from mitmproxy.net.http import status_codes

from mitm_balancer.core.dispatch import Dispatch, Stop
from mitm_balancer.providers.errors import error_body
from mitm_balancer.providers.model import Dialect

SHORT_WAIT = 60.0
"""Seconds up to which a client may wait by itself. Longer ones also get `x-should-retry: false`: the SDKs would sleep
for hours (wire-facts X3-X6), and a person at a terminal wants to know at once."""


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """An answer of ours: head and body."""

    response: http.Response
    body: bytes


def exhausted(dialect: Dialect, dispatch: Dispatch, stop: Stop, now: float, extra: tuple[bytes, bytes]) -> OwnAnswer:
    """Every account is cooling: a 429 that names each account, why, and until when. `now` is monotonic."""
    wait = math.ceil(stop.wait or 0.0)
    message = f"mitm-balancer: every {dispatch.provider} account is out: {'; '.join(_reasons(dispatch, now))}"
    fields = [(b"retry-after", b"%d" % max(1, wait))]
    if wait > SHORT_WAIT:
        fields.append((b"x-should-retry", b"false"))
    code = "rate_limit_error" if dialect is Dialect.ANTHROPIC_MESSAGES else "rate_limit_exceeded"
    return _make(dialect, 429, code, message, (*fields, extra))


def failed(dialect: Dialect, status: int, message: str, extra: tuple[bytes, bytes]) -> OwnAnswer:
    """No answer to pass on: 502 (an upstream that cannot be reached), 503 (nobody to ask), 504 (too slow)."""
    return _make(dialect, status, "api_error", f"mitm-balancer: {message}", (extra,))


def _make(dialect: Dialect, status: int, code: str, message: str, fields: Iterable[tuple[bytes, bytes]]) -> OwnAnswer:
    body = error_body(dialect, status, code, message)
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
            parts.append(f"{target.name} {block.reason}, back in {human_duration(block.until - now)}")
    return parts


def human_duration(seconds: float) -> str:
    """`42 s`, `7 min`, `3 h 20 min`, `2 d 4 h`."""
    seconds = max(0, math.ceil(seconds))
    if seconds < 120:
        return f"{seconds} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
