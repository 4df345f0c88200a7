"""From the commit on: one answer goes to the client as it comes, and a copy is watched go by."""

from __future__ import annotations

import time
from typing import Protocol

from mitmproxy import http

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.endings import error_event
from mitm_balancer.core.tail import Tail
from mitm_balancer.core.verdict import Outcome, Scope, Sent, Verdict
from mitm_balancer.providers.classify import classify_event
from mitm_balancer.providers.model import Provider
from mitm_balancer.proxy import display, metering
from mitm_balancer.proxy.answers import OwnAnswer
from mitm_balancer.proxy.attempt import Answer, header
from mitm_balancer.proxy.outlet import Outlet
from mitm_balancer.proxy.record import Record
from mitm_balancer.upstream.base import RawHeaders, UpstreamError, UpstreamResponse
from mitm_balancer.usage.gauge import Gauge

EVENT_STREAM = "text/event-stream"

_OPENINGS = {
    Dialect.ANTHROPIC_MESSAGES: b"message_start",
    Dialect.OPENAI_CHAT: b'"choices"',
    Dialect.OPENAI_RESPONSES: b"response.created",
    Dialect.GEMINI: b'"candidates"',
}
"""What every stream of a dialect says among its first events (wire-facts 23)."""


class Upgraded(Protocol):
    """A response after its 101."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class BrokenAnswerError(Exception):
    """The provider's answer broke off after commit; the client has been told."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class Relay:
    """Gives one answer to one client. `observed`: somebody looks at flows, so the flow is filled in."""

    def __init__(self, flow: http.HTTPFlow, outlet: Outlet, record: Record, *, observed: bool) -> None:
        self.flow, self.outlet, self.record, self.observed = flow, outlet, record, observed
        self.committed = False
        self.received = 0
        self.upgraded: Upgraded | None = None
        self.gauge: Gauge | None = None
        """Where the tokens of the answer that is passed on are read."""

    async def give(self, own: OwnAnswer, account: str) -> None:
        """An answer of ours."""
        self.record.committed(account, own.response.status_code)
        if self.observed:
            display.show_decision(self.flow, *describe(self.record), redispatched=False)
        self.committed = True
        self.received = len(own.body)
        await self.outlet.whole(own.response, own.body)

    async def pass_on(
        self, answer: Answer, *, alias: str, account: str, dialect: Dialect | None, note: str = ""
    ) -> Tail | None:
        """A provider's answer, to its end. `dialect`: what to watch a stream for, None for nothing.

        Returns what the stream said besides its text. Raises BrokenAnswerError once the client has been told.
        """
        upstream = answer.response
        self.record.committed(account, upstream.status, note)
        extra = (self.record.header(alias),) if alias else ()
        response = display.response_head(upstream, (*extra, *_framing(upstream, self.flow.request)))
        if self.observed:
            display.show_upstream(self.flow, upstream.info)
            display.show_decision(self.flow, *describe(self.record), redispatched=len(self.record.data["attempts"]) > 1)
        if upstream.status == 101:
            self.upgraded = upstream  # type: ignore[assignment]
        self.committed = True
        tail = _tail(answer, dialect)
        self.gauge = metering.gauge(upstream, dialect, tail)
        if answer.complete and tail is None:
            upstream.close()
            if self.gauge is not None:
                self.gauge.feed(answer.prefix)
            self.received = len(answer.prefix)
            await self.outlet.whole(response, answer.prefix)
            return None
        await self.outlet.head(response)
        try:
            await self._body(answer, tail)
        except UpstreamError as e:
            upstream.close()
            await self._break(upstream, tail, dialect, str(e))
            raise BrokenAnswerError(
                Outcome(Verdict.INTERRUPTED_EXECUTION, e.stage, Scope.ACCOUNT, message=str(e)[:300])
            ) from None
        # The connection is free before the client's end is written: the next request may come at once.
        upstream.close()
        await self.outlet.end()
        return tail

    async def _body(self, answer: Answer, tail: Tail | None) -> None:
        if answer.prefix:
            await self._data(answer.prefix, tail)
        while not answer.complete and (data := await answer.response.read()):
            await self._data(data, tail)
        if tail is None:
            return
        tail.eof()
        if tail.readable and not tail.saw_terminal and tail.error is None:
            raise UpstreamError("body", "the stream ended without its end marker", sent=Sent.ALL)

    async def _data(self, data: bytes, tail: Tail | None) -> None:
        self.received += len(data)
        await self.outlet.data(data)
        if tail is not None:
            tail.feed(data)
        elif self.gauge is not None:
            self.gauge.feed(data)

    async def _break(self, upstream: UpstreamResponse, tail: Tail | None, dialect: Dialect | None, why: str) -> None:
        """A cut or stalled answer: the dialect's own error event where one can be said, else a broken connection.

        Never a clean end that looks like success.
        """
        # "connection lost" are words that opencode takes for worth another try (measured).
        why = f"mitm-balancer: connection lost, the provider's answer broke off: {why}"
        fixed = header(upstream, b"content-encoding") or header(upstream, b"content-length")
        if tail is not None and dialect is not None and not fixed:
            await self.outlet.data(error_event(dialect, why, mid_event=tail.mid_event))
            await self.outlet.end()
        else:
            await self.outlet.broken(why)


def in_stream_error(tail: Tail, provider: Provider, upstream: UpstreamResponse, model: str) -> Outcome | None:
    """What an error event after commit means for the account; None: there was none."""
    if tail.error is None:
        return None
    return classify_event(provider, tail.error, headers=upstream.headers, now=time.time(), model=model or None)


def _framing(upstream: UpstreamResponse, request: http.Request) -> RawHeaders:
    """A body that the provider ends by closing its connection is chunked for the client, who keeps its own."""
    bodiless = request.method == "HEAD" or upstream.status < 200 or upstream.status in (204, 304)
    framed = header(upstream, b"content-length") or header(upstream, b"transfer-encoding")
    return () if bodiless or framed or not request.is_http11 else ((b"transfer-encoding", b"chunked"),)


def _tail(answer: Answer, dialect: Dialect | None) -> Tail | None:
    """A watch over a stream that speaks its dialect; what does not is passed on without a judgement about its end."""
    upstream = answer.response
    if dialect is not None and not header(upstream, b"content-encoding") and _foreign(dialect, answer.prefix):
        return None
    content_type = header(upstream, b"content-type")
    if dialect is None or upstream.status != 200 or not content_type.startswith(EVENT_STREAM):
        return None
    return Tail(dialect, content_type=content_type, content_encoding=header(upstream, b"content-encoding"))


def _foreign(dialect: Dialect, prefix: bytes) -> bool:
    """Whether events have come and none is of the dialect. A stream committed by time may have said nothing yet."""
    return b"data:" in prefix and _OPENINGS[dialect] not in prefix


def describe(record: Record) -> tuple[str, dict[str, object]]:
    """The comment of the final flow, and the record for the content view."""
    data = record.data
    attempts = data["attempts"]
    tried = ", ".join(f"{a['account']} {a.get('status', '')} {a['verdict']}".replace("  ", " ") for a in attempts)
    text = f"mitm-balancer: served by {data['account']}"
    if len(attempts) > 1:
        text += f" after {len(attempts)} attempts: {tried}"
    if note := data.get("note"):
        text += f" ({note})"
    return text, record.so_far()
