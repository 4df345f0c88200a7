"""One client request from its last byte to the end of its answer.

The call does what the dispatcher says: attempt, pause, stop; then it relays the answer. It decides nothing itself. It
is a plain asyncio task beside mitmproxy's layers, so a cancelled client cancels it, and with it the upstream, at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator
from typing import Protocol

from mitmproxy import http
from mitmproxy.proxy.server import ConnectionHandler

from mitm_balancer.core.dispatch import Attempt, Dispatch, DispatchPolicy, Pause, Stop
from mitm_balancer.core.verdict import Outcome, Scope, Sent, Verdict
from mitm_balancer.providers.model import Dialect, PathKind
from mitm_balancer.proxy import answers, display, facts, wire
from mitm_balancer.proxy.answers import OwnAnswer
from mitm_balancer.proxy.attempt import Answer, Result, attempt
from mitm_balancer.proxy.outlet import Outlet, StreamOutlet, Upload
from mitm_balancer.proxy.record import Record
from mitm_balancer.proxy.runtime import Account, Claim, Runtime, new_request_id
from mitm_balancer.proxy.stream import BalancedLayer
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.upstream.base import Origin, Timeouts, UpstreamError, UpstreamResponse, WireRequest

logger = logging.getLogger(__name__)

OWN = "client"
"""Stands for the account in `x-balancer` when the client's own credential served."""

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS"})


class Upgraded(Protocol):
    """A response after its 101."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Call:
    """The way of a request (DESIGN section 4). Implements `proxy.stream.CallPort`."""

    def __init__(self, runtime: Runtime, claim: Claim, hidden: wire.Hidden, observed: bool) -> None:
        self.runtime = runtime
        self.claim = claim
        self.replay_limit = runtime.limits.replay
        self._hidden = hidden
        self._observed = observed
        self.keep_body = claim.kind is not PathKind.CONTROL
        self._own_body: bytes | None = None
        self._client: tuple[ConnectionHandler, BalancedLayer, int] | None = None
        self._outlet: Outlet | None = None
        self._upload: Upload | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._committed = False
        self._upgraded: Upgraded | None = None
        self._dispatch: Dispatch | None = None
        self._open: Answer | None = None
        self._received = 0

    # -- CallPort -----------------------------------------------------------------------------------------------

    def attach(self, handler: ConnectionHandler, layer: BalancedLayer, stream_id: int) -> None:
        """Whose request it is."""
        self._client = (handler, layer, stream_id)

    def take_body(self, body: bytes) -> bytes | None:
        if self.keep_body:
            return body
        self._own_body = body
        return None

    def start(self, flow: http.HTTPFlow) -> None:
        if not self._cancelled:
            self._begin(flow)

    def start_upload(self, flow: http.HTTPFlow, first: bytes) -> None:
        if self._cancelled:
            return
        assert self._client is not None
        self._upload = Upload(self._client[0])
        self._upload.put(first)
        self._begin(flow)

    def upload(self, data: bytes) -> None:
        if self._upload is not None:
            self._upload.put(data)
            if self._task is not None and self._task.done():
                self._upload.discard()

    def upload_ended(self) -> None:
        if self._upload is not None:
            self._upload.end()

    def head_was_sent(self) -> None:
        assert isinstance(self._outlet, StreamOutlet)
        self._outlet.head_was_sent()

    def upgraded_write(self, data: bytes) -> None:
        if self._upgraded is not None:
            self._upgraded.write(data)

    def upgraded_close(self) -> None:
        if self._upgraded is not None:
            self._upgraded.close()
            self.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        if self._task is not None and not self._task.done():
            self._task.cancel()

    # -- the task -----------------------------------------------------------------------------------------------

    def _begin(self, flow: http.HTTPFlow) -> None:
        assert self._client is not None
        self._outlet = outlet = StreamOutlet(*self._client, flow)
        self._task = spawn(self._watched(flow, outlet), "balancer call")

    async def _watched(self, flow: http.HTTPFlow, outlet: StreamOutlet) -> None:
        # mitmproxy closes a client connection that is silent for tcp_timeout; waiting for a provider is no silence.
        with outlet.handler.timeout_watchdog.disarm():
            await self.run(flow, outlet)

    async def run(self, flow: http.HTTPFlow, outlet: Outlet) -> None:
        """Serve the request into the outlet. Fails open: whatever goes wrong here, the client gets an answer (P10)."""
        self._outlet = outlet
        request = flow.request
        record = Record(new_request_id(), request.method, request.host, request.path)
        ended = "cancelled by the client"
        try:
            await self._serve(flow, record)
            ended = "complete"
        except BrokenAnswerError as e:
            ended = f"broken: {e}"
        except asyncio.CancelledError:
            if self._dispatch is not None:
                self._dispatch.cancelled()
            raise
        except Exception:  # the outermost border: our fault must not become the user's
            logger.exception("mitm-balancer: internal error in request %s, failing open", record.request_id)
            ended = "internal error"
            await self._fail_open(flow, record)
        finally:
            if self._open is not None:
                self._open.close()
            if self._upload is not None:
                self._upload.discard()
            self.runtime.recorder.trace(record.request_id, record.finish(ended, self._received))

    async def _fail_open(self, flow: http.HTTPFlow, record: Record) -> None:
        assert self._outlet is not None
        if self._committed:
            await self._outlet.broken("internal error")
        elif self._upload is not None and self._upload.used:
            dialect = self.claim.pool.provider.dialect
            await self._give(answers.failed(dialect, 502, "internal error", record.header(OWN)), record, OWN)
        else:
            await self._own_way(flow, record, "internal error of the balancer")

    async def _serve(self, flow: http.HTTPFlow, record: Record) -> None:
        claim = self.claim
        if claim.kind is PathKind.CONTROL:
            record.facts(claim.pool.provider.name, claim.kind.value, "", False)
            await self._own_way(flow, record, "")
            return
        dialect = self._dialect()
        known = facts.read(flow.request, dialect)
        record.facts(claim.pool.provider.name, claim.kind.value, known.model, known.stream)
        if not self.runtime.ready.is_set():
            await self.runtime.ready.wait()
        self._dispatch = dispatch = self.runtime.dispatch(claim.pool, known.model, self._policy())
        last: tuple[Account, Answer] | None = None
        while True:
            step = dispatch.next(self.runtime.clock())
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                continue
            if isinstance(step, Stop):
                record.passed_over(dispatch, self.runtime.clock())
                await self._stopped(flow, record, step, last)
                return
            account = claim.pool.accounts[step.target.name]
            result = await self._attempt(flow, account, known)
            record.attempt(account.name, step.because, result)
            dispatch.ended(result.outcome, self.runtime.clock())
            if result.outcome.ok:
                assert result.answer is not None
                record.passed_over(dispatch, self.runtime.clock())
                await self._relay(flow, record, account.alias, account.name, result.answer)
                return
            self._tell(flow, record, account, step, result)
            if last is not None and result.answer is not None:
                last[1].close()
            if result.answer is not None:
                last = (account, result.answer)
                self._open = result.answer

    def _policy(self) -> DispatchPolicy:
        policy = self.runtime.policy
        if self._upload is not None:
            return dataclasses.replace(policy, max_attempts=1, hold=0.0)
        if self.claim.kind is PathKind.BOUND:
            # What one account made, another cannot know: no redispatch.
            return dataclasses.replace(policy, failover=False)
        return policy

    def _dialect(self) -> Dialect:
        rule = self.claim.rule
        return (rule.dialect if rule is not None else None) or self.claim.pool.provider.dialect

    async def _attempt(self, flow: http.HTTPFlow, account: Account, known: facts.Facts) -> Result:
        carrier = account.carrier
        if carrier is None or self.runtime.insecure:
            why = "no credential" if carrier is None else "ssl_insecure is set: no credential is sent"
            return Result(Outcome(Verdict.AUTH_FAILURE, why, Scope.REQUEST, redispatch=True), None, 0.0)
        request = flow.request
        wire_request = WireRequest(
            origin=account.origin or Origin("https", request.host, request.port),
            method=request.data.method,
            target=wire.account_target(request, carrier, account.base_path),
            headers=wire.for_account(request, carrier, gone=account.gone, host=account.host),
            body=self._body(request),
        )
        timeouts = self.runtime.limits.timeouts(stream=known.stream)
        return await attempt(self.runtime.upstream, wire_request, timeouts, account.provider, known.model)

    def _body(self, request: http.Request) -> bytes | AsyncIterator[bytes]:
        if self._upload is not None:
            return self._upload.chunks()
        return (request.raw_content if self._own_body is None else self._own_body) or b""

    # -- ends ---------------------------------------------------------------------------------------------------

    async def _stopped(
        self, flow: http.HTTPFlow, record: Record, stop: Stop, last: tuple[Account, Answer] | None
    ) -> None:
        """No further attempt: the client gets the last answer, an error of ours, or its own way."""
        assert self._dispatch is not None
        dialect = self._dialect()
        if stop.empty:
            await self._own_way(flow, record, stop.because)
        elif stop.exhausted:
            logger.warning("mitm-balancer: every %s account is out", self.claim.pool.provider.name)
            now = self.runtime.clock()
            header = record.header("none")
            await self._give(answers.exhausted(dialect, self._dispatch, stop, now, header), record, "none")
        elif last is not None and self._dispatch.last is not None and self._dispatch.last.status is not None:
            account, answer = last
            await self._relay(flow, record, account.alias, account.name, answer, stop.because)
        else:
            outcome = self._dispatch.last
            status = 504 if outcome is not None and "timeout" in outcome.reason else 502
            text = f"{outcome.message if outcome else stop.because} ({stop.because})"
            await self._give(answers.failed(dialect, status, text, record.header("none")), record, "none")

    async def _own_way(self, flow: http.HTTPFlow, record: Record, note: str) -> None:
        """The client's request with the client's own credential: control plane, or nobody could serve (P10)."""
        balanced = self.claim.kind is not PathKind.CONTROL
        if balanced and not self._hidden:
            text = f"{note or 'no account'}, and the client sent no credential of its own"
            await self._give(answers.failed(self._dialect(), 503, text, record.header("none")), record, "none")
            return
        if balanced:
            logger.warning("mitm-balancer: %s: the client's own credential is used", note)
        request = flow.request
        wire_request = WireRequest(
            origin=Origin(request.scheme, request.host, request.port),
            method=request.data.method,
            target=wire.client_target(request, self._hidden),
            headers=wire.for_client(request, self._hidden),
            body=self._body(request),
        )
        timeouts = self.runtime.limits.timeouts(stream=False)
        try:
            response = await self._send_own(wire_request, timeouts, request.method)
        except UpstreamError as e:
            text = f"{request.host}: {e}"
            await self._give(answers.failed(self._dialect(), 502, text, record.header(OWN)), record, OWN)
            return
        await self._relay(flow, record, OWN if balanced else "", OWN, Answer(response), note)

    async def _send_own(self, request: WireRequest, timeouts: Timeouts, method: str) -> UpstreamResponse:
        try:
            return await self.runtime.upstream.send(request, timeouts)
        except UpstreamError as e:
            # A kept connection that the server closed in this very moment: what any HTTP client does by itself.
            if self._upload is None and (method in IDEMPOTENT or e.sent is not Sent.ALL) and e.stage == "head":
                return await self.runtime.upstream.send(request, timeouts)
            raise

    async def _give(self, own: OwnAnswer, record: Record, account: str) -> None:
        assert self._outlet is not None
        self._committed = True
        record.committed(account, own.response.status_code)
        await self._outlet.head(own.response)
        await self._outlet.data(own.body)
        await self._outlet.end()

    async def _relay(
        self, flow: http.HTTPFlow, record: Record, alias: str, account: str, answer: Answer, note: str = ""
    ) -> None:
        """Commit: from here every byte passes as it comes."""
        assert self._outlet is not None
        self._open = answer
        upstream = answer.response
        record.committed(account, upstream.status, note)
        response = display.response_head(upstream, (record.header(alias),) if alias else ())
        if self._observed:
            display.show_upstream(flow, upstream.info)
            display.show_decision(flow, *describe(record), redispatched=len(record.data["attempts"]) > 1)
        if upstream.status == 101:
            self._upgraded = upstream  # type: ignore[assignment]
        self._committed = True
        await self._outlet.head(response)
        if answer.prefix:
            await self._data(answer.prefix)
        try:
            while not answer.complete and (data := await upstream.read()):
                await self._data(data)
        except UpstreamError as e:
            self._interrupted(account, e)
            await self._outlet.broken(f"the provider's answer broke off: {e}")
            raise BrokenAnswerError(str(e)) from None
        # The connection is free before the client's end is written: the next request may come at once.
        upstream.close()
        await self._outlet.end()

    async def _data(self, data: bytes) -> None:
        assert self._outlet is not None
        self._received += len(data)
        await self._outlet.data(data)

    def _interrupted(self, account: str, error: UpstreamError) -> None:
        if account != OWN and self._dispatch is not None:
            outcome = Outcome(Verdict.INTERRUPTED_EXECUTION, error.stage, Scope.ACCOUNT, message=str(error)[:300])
            self.runtime.health.record(account, self._dispatch.model, outcome, self.runtime.clock())

    def _tell(self, flow: http.HTTPFlow, record: Record, account: Account, step: Attempt, result: Result) -> None:
        outcome = result.outcome
        wait = "" if outcome.wait is None else f", back in {answers.human_duration(outcome.wait)}"
        logger.info("mitm-balancer: %s: %s (%s)%s", account.name, outcome.verdict.value, outcome.reason, wait)
        if self._observed and self._dispatch is not None:
            response = None
            if result.answer is not None:
                response = display.response_head(result.answer.response, ())
                response.data.content = result.answer.prefix
                wire.hide_cookies(response)
                response.stream = False
            display.show_failed_attempt(flow, step.number, account.name, outcome, response, record.so_far())


class BrokenAnswerError(Exception):
    """The provider's answer broke off after commit; the client has been told."""


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
