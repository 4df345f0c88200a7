"""What a session's prompt cache costs to leave: read from its requests and answers, kept for `core.switching`."""

from __future__ import annotations

import functools
import re

from mitmproxy import http

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.dispatch import Dispatch
from mitm_balancer.core.switching import CACHE_LIFE, LONG_LIFE
from mitm_balancer.proxy import facts, turns
from mitm_balancer.proxy.record import Record

LOOKED_AT = 128 * 1024
"""Bytes at either end of a body in which the life of its cache is looked for."""

_LONG = re.compile(rb'"ttl"\s*:\s*"1h"')
"""Inside a JSON string the quotes would be escaped."""


def attach(dispatch: Dispatch, request: http.Request, dialect: Dialect) -> None:
    """The request's session can ask whether a turn begins."""
    if dispatch.tie is not None:
        dispatch.tie.begins_turn = functools.partial(begins_turn, request, dialect)


def remember(dispatch: Dispatch | None, request: http.Request, record: Record, now: float) -> None:
    """The answer has ended: its session's prompt lies in the account's cache. `now` is monotonic."""
    usage = record.data.get("usage")
    if dispatch is None or dispatch.tie is None or not usage or not usage["input"]:
        return
    # Nothing cached, no life of a cache: looking for it takes half a millisecond per megabyte.
    cached = usage.get("cache_read") or usage.get("cache_write")
    life = cache_life(request) if cached else CACHE_LIFE
    dispatch.tie.used(record.data["account"], dispatch.model, usage["input"], life, now)


def begins_turn(request: http.Request, dialect: Dialect) -> bool:
    """Whether a turn begins with this request, or with this handshake, after which all is said again.
    Reads the whole body."""
    if "upgrade" in request.headers:
        return True
    content = facts.decoded(request)
    return turns.begins(content, dialect) if content else False


def cache_life(request: http.Request) -> float:
    """Seconds for which the prompt stays in the provider's cache: an hour where the request says so."""
    content = request.raw_content or b""
    # Only Anthropic's dialect has it, whose clients send bodies as they are, and mark the prompt's beginning and end.
    ends = (content[:LOOKED_AT], content[max(LOOKED_AT, len(content) - LOOKED_AT) :])
    return LONG_LIFE if any(b'"1h"' in end and _LONG.search(end) for end in ends) else CACHE_LIFE
