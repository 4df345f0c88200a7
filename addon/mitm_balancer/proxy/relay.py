"""From the commit on: one answer goes to the client as it comes, and a copy is watched go by."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol

from mitmproxy import http

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.endings import error_event
from mitm_balancer.core.meaning import Meaning, meaning
from mitm_balancer.core.resume import DivergedError, Script
from mitm_balancer.core.sse import Cutter, Event
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
    """The provider's answer broke off after commit; the client has been told, but where `tell` is there to do it."""

    def __init__(
        self, outcome: Outcome, tail: Tail | None = None, tell: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        super().__init__(outcome.message)
        self.outcome, self.tail, self.tell = outcome, tail, tell


class Relay:
    """Gives one answer to one client. `observed`: somebody looks at flows, so the flow is filled in."""

    def __init__(self, flow: http.HTTPFlow, outlet: Outlet, record: Record, *, observed: bool) -> None:
        self.flow, self.outlet, self.record, self.observed = flow, outlet, record, observed
        self.committed = False
        self.over = False
        """The provider has ended the answer, or broken it off."""
        self.received = 0
        self.upgraded: Upgraded | None = None
        self.gauge: Gauge | None = None
        """Where the tokens of the answer that is passed on are read."""
        self.again: tuple[str, Gauge | None] | None = None
        """The same of a second answer that went on with it, and whose that was."""

    async def give(self, own: OwnAnswer, account: str) -> None:
        """An answer of ours."""
        self.record.committed(account, own.response.status_code)
        if self.observed:
            display.show_decision(self.flow, *describe(self.record), redispatched=False)
        self.committed = True
        self.received = len(own.body)
        await self.outlet.whole(own.response, own.body)

    async def pass_on(
        self,
        answer: Answer,
        *,
        alias: str,
        account: str,
        dialect: Dialect | None,
        note: str = "",
        script: Script | None = None,
    ) -> Tail | None:
        """A provider's answer, to its end. `dialect`: what to watch a stream for, None for nothing.

        With a `script` the client gets whole events only, and is not told of a break that can be gone on from.
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
        whole = WholeEvents(self, script, tail) if script is not None and tail is not None else None
        try:
            await self._body(answer, tail, whole)
        except UpstreamError as e:
            self.over = True
            upstream.close()
            await self._broke(e, upstream, tail, dialect, whole)
        # The connection is free before the client's end is written: the next request may come at once.
        self.over = True
        upstream.close()
        await self.outlet.end()
        return tail

    async def _broke(
        self, error: UpstreamError, upstream: UpstreamResponse, tail: Tail | None, dialect: Dialect | None,
        whole: WholeEvents | None,
    ) -> NoReturn:  # fmt: skip
        """A committed answer broke off. The client is told, unless it can be gone on with: then `tell` is for later."""
        outcome = Outcome(Verdict.INTERRUPTED_EXECUTION, error.stage, Scope.ACCOUNT, message=str(error)[:300])

        async def tell() -> None:
            if whole is not None and whole.refusal:
                await self.outlet.data(whole.refusal)
                await self.outlet.end()
            else:
                watched = None if tail is None else dialect
                await self._break(upstream, watched, str(error), whole is None and _inside(tail))

        if whole is not None and whole.script.resumable:
            raise BrokenAnswerError(outcome, tail, tell) from None
        await tell()
        raise BrokenAnswerError(outcome, tail) from None

    async def go_on(self, answer: Answer, script: Script, tail: Tail) -> None:
        """A second answer, from where the first one broke off. Raises UpstreamError; the client is not told of it."""
        await self._body(answer, tail, WholeEvents(self, script, tail, second=True))
        await self.outlet.end()

    async def _body(self, answer: Answer, tail: Tail | None, whole: WholeEvents | None) -> None:
        give = self._data if whole is None else whole.data
        if answer.prefix:
            await give(answer.prefix, tail)
        while not answer.complete and (data := await answer.response.read()):
            await give(data, tail)
        if tail is None:
            return
        tail.eof()
        if tail.readable and not tail.saw_terminal and tail.error is None:
            raise UpstreamError("body", "the stream ended without its end marker", sent=Sent.ALL)
        if whole is not None:
            await whole.end()

    async def _data(self, data: bytes, tail: Tail | None) -> None:
        self.received += len(data)
        await self.outlet.data(data)
        if tail is not None:
            tail.feed(data)
        elif self.gauge is not None:
            self.gauge.feed(data)

    async def _break(self, upstream: UpstreamResponse, dialect: Dialect | None, why: str, mid_event: bool) -> None:
        """A cut or stalled answer: the dialect's own error event where one can be said, else a broken connection.

        Never a clean end that looks like success.
        """
        # "connection lost" are words that opencode takes for worth another try (measured).
        why = f"mitm-balancer: connection lost, the provider's answer broke off: {why}"
        fixed = header(upstream, b"content-encoding") or header(upstream, b"content-length")
        if dialect is not None and not fixed:
            await self.outlet.data(error_event(dialect, why, mid_event=mid_event))
            await self.outlet.end()
        else:
            await self.outlet.broken(why)


class WholeEvents:
    """Gives the client whole events only, so that another answer's can follow at any time."""

    def __init__(self, relay: Relay, script: Script, tail: Tail, *, second: bool = False) -> None:
        self.relay, self.script, self.tail, self.second = relay, script, tail, second
        self.refusal = b""
        """The error event that ended the answer, as it came."""
        self._cutter = Cutter()

    async def data(self, data: bytes, tail: Tail | None) -> None:
        """Raises UpstreamError for an error event, which is as good as a cut, and for an answer that is another one."""
        passed = []
        try:
            for raw, events in self._cutter.feed(data):
                passed.append(self._event(raw, events))
        finally:
            if out := b"".join(passed):
                await self.relay._data(out, None)
            if tail is not None:
                tail.feed(data)

    async def end(self) -> None:
        """The answer is whole: an end marker without its blank line is as good as one with it."""
        if self._cutter.rest:
            await self.relay._data(self._cutter.rest, None)

    def _event(self, raw: bytes, events: list[Event]) -> bytes:
        if any(meaning(self.tail.dialect, event) is Meaning.ERROR for event in events):
            self.refusal = raw
            raise UpstreamError("event", "the stream ended with an error event", sent=Sent.ALL)
        if not self.second:
            for event in events:
                self.script.saw(event)
            return raw
        try:
            return b"".join(self.script.onto(event, raw) for event in events)
        except DivergedError as e:
            raise UpstreamError("resume", str(e), sent=Sent.ALL) from None


def _inside(tail: Tail | None) -> bool:
    return tail is not None and tail.mid_event


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
