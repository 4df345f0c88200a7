"""What a call tells the book of usage: an attempt's limit headers, an answer's tokens, a socket's frames."""

from __future__ import annotations

import time

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.tail import Tail
from mitm_balancer.providers.limits import frame_windows
from mitm_balancer.providers.model import PathKind
from mitm_balancer.providers.usage import Usage
from mitm_balancer.proxy.attempt import header
from mitm_balancer.proxy.record import Record
from mitm_balancer.proxy.runtime import Account, Claim, Runtime
from mitm_balancer.upstream.base import UpstreamResponse
from mitm_balancer.usage.gauge import Gauge, ended_in_socket

TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
"""What a trace tells: the fields of `Usage`."""


def gauge(upstream: UpstreamResponse, dialect: Dialect | None, tail: Tail | None) -> Gauge | None:
    """The gauge of an answer of that dialect; None where no tokens are told."""
    if dialect is None or upstream.status != 200:
        return None
    if tail is not None:
        return Gauge(dialect, tail)  # looking a header up costs more than all the rest here
    kind, coding = header(upstream, b"content-type"), header(upstream, b"content-encoding")
    return Gauge(dialect, None, content_type=kind, content_encoding=coding)


def heard(runtime: Runtime, account: Account, response: UpstreamResponse) -> None:
    """The head of any answer, refusals above all: what it says of the account's limits."""
    runtime.book.heard(account.name, account.provider, response.headers, time.time())


def answered(runtime: Runtime, claim: Claim, record: Record, found: Gauge | None) -> None:
    """A balanced answer has ended, however: its tokens go into the book and the trace."""
    # A resource that is only looked at tells the tokens of the answer that made it.
    if found is None or claim.kind is not PathKind.INFERENCE or not record.data["request"].startswith("POST "):
        return
    usage, now, account = found.usage(), time.time(), record.data["account"]
    if usage is not None:
        record.data["usage"] = {name: getattr(usage, name) for name in TOKENS}
    runtime.book.add(account, record.data.get("model_sent") or record.data.get("model", ""), usage, now)
    if found.tail is not None:
        _limits_frame(runtime, account, found.tail, now)


def resumed(runtime: Runtime, record: Record, again: tuple[str, Gauge | None] | None) -> None:
    """The answer that went on with a broken one, and its account: it is billed as well."""
    if again is None or again[1] is None:
        return
    account, usage = again[0], again[1].usage()
    if usage is not None:
        record.data["resumed"]["usage"] = {name: getattr(usage, name) for name in TOKENS}
    runtime.book.add(account, record.data.get("model_sent") or record.data.get("model", ""), usage, time.time())


def framed(runtime: Runtime, account: str, dialect: Dialect, model: str, tail: Tail) -> Usage | None:
    """A frame of an open socket was watched: the answer that it ended, or the limits that it stated. The tokens of the
    answer, if it ended one that told them."""
    now = time.time()
    ended = ended_in_socket(dialect, tail)
    if ended is not None:
        usage, named = ended
        runtime.book.add(account, model or named, usage, now)
    _limits_frame(runtime, account, tail, now)
    return None if ended is None else ended[0]


def _limits_frame(runtime: Runtime, account: str, tail: Tail, now: float) -> None:
    if tail.rate_limits:
        runtime.book.windows(account, frame_windows(tail.rate_limits, server_now=now), now)
        tail.rate_limits = b""
