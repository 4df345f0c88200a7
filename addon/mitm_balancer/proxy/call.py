"""One client request from its last byte to the end of its answer.

The call does what the dispatcher says: attempt, pause, stop; then it relays the answer. It decides nothing itself. It
is a plain asyncio task beside mitmproxy's layers, so a cancelled client cancels it, and with it the upstream, at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator

from mitmproxy import http
from mitmproxy.proxy.server import ConnectionHandler

from mitm_balancer.core.dispatch import Attempt, Dispatch, DispatchPolicy, Pause, Queue, Renew, Stop
from mitm_balancer.core.durations import countdown
from mitm_balancer.core.resume import Script, Way
from mitm_balancer.core.strip import Stripped, is_refused
from mitm_balancer.core.tail import Tail
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.providers.model import PathKind
from mitm_balancer.proxy import answers, bodies, caching, display, facts, logins, metering, resuming, switches, wire
from mitm_balancer.proxy.attempt import Answer, Result, Rules, attempt, masked
from mitm_balancer.proxy.bound import Binding
from mitm_balancer.proxy.entrance import Entrance
from mitm_balancer.proxy.hooks import Hooks
from mitm_balancer.proxy.outlet import Outlet, StreamOutlet, Upload
from mitm_balancer.proxy.record import Record
from mitm_balancer.proxy.relay import BrokenAnswerError, Relay, in_stream_error
from mitm_balancer.proxy.routes import Route, Routes, routes
from mitm_balancer.proxy.runtime import Account, Claim, Recorder, Runtime, new_request_id
from mitm_balancer.proxy.sending import send_own
from mitm_balancer.proxy.sockets import OpenSocket, SocketWatch, is_upgrade
from mitm_balancer.proxy.stream import BalancedLayer
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.upstream.base import Origin, Timeouts, UpstreamError, WireRequest

logger = logging.getLogger(__name__)

OWN = "client"
"""Stands for the account in `x-balancer` when the client's own credential served."""

NOBODY = "none"


class Call:
    """The way of a request (DESIGN section 4). Implements `proxy.stream.CallPort`."""

    def __init__(
        self, runtime: Runtime, claim: Claim, hidden: wire.Hidden, *, observed: bool, run: tuple[str, ...] = ()
    ) -> None:
        """`run`: the accounts that the client was started for (`balancer exec --account`)."""
        self.runtime = runtime
        self.claim = claim
        self.replay_limit = runtime.limits.replay
        self.keep_body = claim.kind is not PathKind.CONTROL
        self._hidden = hidden
        self._observed = observed
        self._run = run
        self._client: tuple[ConnectionHandler, BalancedLayer, int] | None = None
        self._own_body: bytes | None = None
        self._upload: Upload | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._relay: Relay | None = None
        self._dispatch: Dispatch | None = None
        self._open: Answer | None = None
        self._binding: Binding
        self._routes: Routes
        self._entrance: Entrance
        self._stripped: Stripped | None = None
        self._again: bytes | None = None
        """The body of a second request that goes on with a broken answer."""

    # -- CallPort -----------------------------------------------------------------------------------------------

    def attach(self, handler: ConnectionHandler, layer: BalancedLayer, stream_id: int, hooks: Hooks) -> None:
        """Whose request it is, and who listens."""
        self._client = (handler, layer, stream_id)
        self._hooks = hooks

    def take_body(self, body: bytes) -> bytes | None:
        if self.keep_body:
            return body
        self._own_body = body
        return None

    def start(self, flow: http.HTTPFlow) -> None:
        if self._cancelled:
            return
        assert self._client is not None
        outlet = StreamOutlet(*self._client, flow, self._hooks)
        self._task = spawn(self._watched(flow, outlet), "balancer call")

    def start_upload(self, flow: http.HTTPFlow, first: bytes) -> None:
        assert self._client is not None
        self._upload = Upload(self._client[0])
        self._upload.put(first)
        self.start(flow)

    def upload(self, data: bytes) -> None:
        assert self._upload is not None
        if self._task is None or self._task.done():
            return  # answered before the end: the client may finish, nobody listens
        self._upload.put(data)

    def upload_ended(self) -> None:
        assert self._upload is not None
        self._upload.end()

    def upgraded_write(self, data: bytes) -> None:
        if self._relay is not None and self._relay.upgraded is not None:
            self._relay.upgraded.write(data)

    def upgraded_close(self) -> None:
        self.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        if self._task is not None and not self._task.done():
            self._task.cancel()

    # -- the task -----------------------------------------------------------------------------------------------

    async def _watched(self, flow: http.HTTPFlow, outlet: StreamOutlet) -> None:
        # mitmproxy closes a client connection that is silent for tcp_timeout; waiting for a provider is no silence.
        with outlet.handler.timeout_watchdog.disarm():
            if await outlet.request():
                await self.run(flow, outlet)

    async def run(self, flow: http.HTTPFlow, outlet: Outlet) -> None:
        """Serve the request into the outlet. Fails open: whatever goes wrong here, the client gets an answer (P10)."""
        request = flow.request
        record = Record(new_request_id(), request.method, request.host, request.path, self._recorder())
        record.data["flow"] = flow.id
        self._relay = relay = Relay(flow, outlet, record, observed=self._observed)
        ended = "cancelled by the client"
        try:
            await self._serve(flow, relay)
            ended = "complete"
        except BrokenAnswerError as e:
            ended = f"broken: {e}"
        except asyncio.CancelledError:
            raise
        except Exception:  # the outermost border: our fault must not become the user's
            logger.exception("mitm-balancer: internal error in request %s, failing open", record.request_id)
            ended = "internal error"
            await self._fail_open(flow, relay)
        finally:
            if self._dispatch is not None:
                self._dispatch.close()  # the lease ends; an attempt that never ended counts for nothing (P6)
            if self._open is not None:
                self._open.close()
            if self._upload is not None:
                self._upload.discard()
            if (socket := self.runtime.sockets.pop(flow.id, None)) is not None:
                socket.ended(by_client=not relay.over or bool(flow.websocket and flow.websocket.closed_by_client))
            metering.answered(self.runtime, self.claim, record, relay.gauge)
            caching.remember(self._dispatch, request, record, self.runtime.clock())
            if self.claim.kind is not PathKind.CONTROL:
                record.finish(ended, relay.received)
                record.keep()

    async def _serve(self, flow: http.HTTPFlow, relay: Relay) -> None:
        claim, record = self.claim, relay.record
        if claim.kind is PathKind.CONTROL:
            record.facts(claim.pool.provider.name, claim.kind.value, "", False)
            await self._own_way(flow, relay, "")
            return
        known = facts.read(flow.request, claim.dialect)
        record.facts(claim.pool.provider.name, claim.kind.value, known.model, known.stream)
        self.runtime.listener.balanced(claim, flow.request, self._hidden)
        if claim.pool.provider.websocket == "refuse" and is_upgrade(flow.request):
            text = "WebSocket is switched off for this provider"
            await relay.give(answers.failed(claim.dialect, 426, text, record.header(NOBODY)), NOBODY)
            return
        if self.runtime.insecure:
            await self._own_way(flow, relay, "ssl_insecure is set, so no account's credential is sent")
            return
        await self.runtime.ready.wait()
        found = routes(self.runtime, claim, flow.request, known, whole=self._upload is None)
        self._binding = self.runtime.resources.of(claim, flow.request, known.refers, found)
        if known.refers and self._binding.pin is None:
            found = found.at_home()
        self._routes = found = found.pinned(self.runtime, self._run, known.session)
        self._dispatch = dispatch = self.runtime.dispatch(claim.pool, known.model, self._policy(), found.order)
        self._binding.bind(dispatch, record.data)
        dispatch.prefer = dispatch.prefer or found.away
        self._entrance = Entrance(self.runtime, dispatch, known.session, known.stream or is_upgrade(flow.request))
        caching.attach(dispatch, flow.request, claim.dialect)
        record.begins("" if dispatch.tie is None else dispatch.tie.keys.own, self._size(flow.request))
        ended = await self._find(flow, record, known, dispatch)
        now = self.runtime.clock()
        record.passed_over(dispatch, now)
        if isinstance(ended, Stop):
            out = ended.exhausted and found.pin is None
            record.stopped(ended.because, exhausted=out, wait=ended.wait)
            await self._stopped(flow, relay, ended, dispatch)
            return
        route, answer = ended
        switches.noticed(self.runtime, self._routes, route, record, dispatch, now)
        await self._served(flow, relay, route.account, answer, dispatch, known)

    async def _find(
        self, flow: http.HTTPFlow, record: Record, known: facts.Facts, dispatch: Dispatch
    ) -> tuple[Route, Answer] | Stop:
        """Do what the dispatcher says until somebody has answered; the answer is at its commit point."""
        clock = self.runtime.clock
        account: Account | None = None
        while True:
            step = dispatch.next(clock())
            if isinstance(step, Pause):
                record.paused(step.seconds)
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Queue):
                await self._entrance.wait(step.seconds)
            elif isinstance(step, Renew):
                assert account is not None
                assert dispatch.last is not None
                refusal = await logins.refused(self.runtime, account, dispatch.last, dispatch)
                dispatch.renewed(clock(), refusal)
            elif isinstance(step, Stop):
                return step
            else:
                self._close_open()
                route = self._routes.of(step.target.name)
                account, unable = await logins.ready(self.runtime, route.account, dispatch)
                route = dataclasses.replace(route, account=account)
                record.tries(account.name, step.because)
                result = await self._attempt(flow, route, known) if unable is None else Result(unable, None, 0.0)
                self._open = result.answer
                record.attempt(route, step.because, result)
                dispatch.ended(result.outcome, clock(), renewable=account.renewable and unable is None)
                if self._upload is not None:
                    logins.nudge(self.runtime, account, result.outcome)
                if result.outcome.ok and result.answer is not None:
                    return route, result.answer
                await self._strip(flow.request, record, dispatch)
                self._tell(flow, record, route.account, step, result)

    async def _attempt(self, flow: http.HTTPFlow, route: Route, known: facts.Facts) -> Result:
        runtime, account, model = self.runtime, route.account, route.model
        carrier = route.carrier(flow.request, self.claim)
        if carrier is None:
            return Result(Outcome(Verdict.AUTH_FAILURE, "no credential", Scope.REQUEST, redispatch=True), None, 0.0)
        made = await self._wire(flow.request, route, carrier)
        if made is None:
            refusal = Outcome(Verdict.MODEL_UNAVAILABLE, "cannot be sent there", Scope.REQUEST, redispatch=True)
            return Result(refusal, None, 0.0)
        rules = Rules(
            provider=account.provider,
            dialect=self.claim.dialect,
            model=model,
            stream=known.stream,
            timeouts=self._timeouts(known.stream),
            first_token=runtime.limits.first_token_limit(runtime.patience.limit(account.provider.name, model)),
            commit_hold=runtime.limits.commit_hold,
        )
        result = await attempt(runtime.upstream, bodies.measured(made), rules)
        result.outcome = masked(result.outcome, carrier.credential)
        if result.answer is not None and result.answer.response.status >= 400:
            result.answer.prefix = wire.hide_quoted(result.answer.prefix, carrier.credential)
        if result.answer is not None:
            metering.heard(runtime, account, result.answer.response)
        if result.first_event is not None:
            runtime.patience.observe(account.provider.name, model, result.first_event)
        return result

    async def _served(
        self,
        flow: http.HTTPFlow,
        relay: Relay,
        account: Account,
        answer: Answer,
        dispatch: Dispatch,
        known: facts.Facts,
    ) -> None:
        if answer.response.status == 101:
            dispatch.give_up_seat()  # a socket is idle most of its life, which may be days
            watch = SocketWatch(account.provider, self.claim.dialect, answer.response.headers, dispatch.model)
            self.runtime.sockets[relay.flow.id] = OpenSocket(
                self.runtime, self.claim, account, watch, relay.outlet, dispatch
            )
        self._binding.answered(account.name, answer)
        script = resuming.script_for(self.runtime.limits.resume, self.claim, flow.request, answer)
        try:
            tail = await relay.pass_on(
                answer, alias=account.alias, account=account.name, dialect=self.claim.dialect, script=script
            )
        except BrokenAnswerError as e:
            # What a socket's end means, the socket knows: an idle one may end at any time.
            heard = self._learn_from(relay.record, account, dispatch, answer, e.tail)
            if not heard and answer.response.status != 101:
                self._learn(account, dispatch, e.outcome)
            if script is None or e.tell is None:
                raise
            await self._go_on(flow, relay, script, e, known)
            return
        if tail is None:
            return
        self._binding.ended(account.name, tail)
        self._learn_from(relay.record, account, dispatch, answer, tail)

    async def _go_on(
        self, flow: http.HTTPFlow, relay: Relay, script: Script, broken: BrokenAnswerError, known: facts.Facts
    ) -> None:
        """A second answer takes the place of one that broke (`resume`)."""
        runtime, pool = self.runtime, self.claim.pool

        async def second(body: bytes) -> tuple[str, Answer] | str:
            if not pool.budget.withdraw(runtime.clock()):
                return "retry budget empty"
            self._close_open()
            self._again = body
            if self._dispatch is not None:
                self._dispatch.close()
            policy = dataclasses.replace(self._policy(), max_attempts=2, hold=0.0)
            self._dispatch = dispatch = runtime.dispatch(pool, known.model, policy, self._routes.order)
            self._entrance = Entrance(runtime, dispatch, known.session, True)
            found = await self._find(flow, relay.record, known, dispatch)
            return found.because if isinstance(found, Stop) else (found[0].account.name, found[1])

        way = Way(runtime.limits.resume)
        body = self._body(flow.request)
        assert isinstance(body, bytes), "a body that streams through leaves no script"
        await resuming.go_on(relay, self.claim.dialect, way, script, broken, body, second)

    def _learn_from(
        self, record: Record, account: Account, dispatch: Dispatch, answer: Answer, tail: Tail | None
    ) -> bool:
        """Whether the stream held an error event; the account's health knows it then."""
        if tail is None:
            return False
        error = in_stream_error(tail, account.provider, answer.response, dispatch.model_of(account.name))
        if error is None:
            return False
        record.data["in_stream_error"] = error.reason or error.verdict.value
        self._learn(account, dispatch, error)
        return True

    def _learn(self, account: Account, dispatch: Dispatch, outcome: Outcome) -> None:
        """Something after commit: nothing is re-issued, but the account's health knows."""
        logins.learn(self.runtime, account, dispatch.model_of(account.name), outcome)

    # -- ends ---------------------------------------------------------------------------------------------------

    async def _stopped(self, flow: http.HTTPFlow, relay: Relay, stop: Stop, dispatch: Dispatch) -> None:
        """No further attempt: the client gets the last answer, an error of ours, or its own way."""
        header = relay.record.header(NOBODY)
        last, pin = dispatch.last, self._routes.pin
        if stop.empty and pin is not None:
            own = answers.pinned(self.claim.dialect, dispatch, pin.out, self.runtime.clock(), header)
            await relay.give(own, NOBODY)
        elif stop.empty:
            await self._own_way(flow, relay, answers.nobody(stop, dispatch))
        elif logins.over(last) and not stop.exhausted and (self._upload is None or not self._upload.used):
            assert last is not None
            await self._own_way(flow, relay, last.message)  # as for the requests to come: nobody is left
        elif stop.overloaded:
            logger.warning("mitm-balancer: %s", stop.because)
            await relay.give(answers.overloaded(self.claim.dialect, stop.because, header), NOBODY)
        elif stop.exhausted:
            who = f"every {dispatch.provider} account is out" if pin is None else pin.out
            if pin is not None:  # of all accounts being out, a notice tells
                logger.warning("mitm-balancer: %s", who)
            if is_upgrade(flow.request) and (stop.wait or 0.0) > answers.SHORT_WAIT:
                # Codex reads no body of a refused handshake and sleeps for its `retry-after`. Over HTTP it hears us.
                text = "every account is out, ask over HTTP to hear until when"
                await relay.give(answers.failed(self.claim.dialect, 426, text, header), NOBODY)
                return
            own = answers.exhausted(self.claim.dialect, dispatch, stop, self.runtime.clock(), header, who=who)
            await relay.give(own, NOBODY)
        elif self._open is not None and last is not None and last.verdict is not Verdict.TRANSPORT_FAILURE:
            account = self._routes.of(dispatch.attempts[-1][0]).account
            await relay.pass_on(self._open, alias=account.alias, account=account.name, dialect=None, note=stop.because)
        else:
            status = 504 if last is not None and "timeout" in last.reason else 502
            text = f"{last.message} ({stop.because})" if last is not None and last.message else stop.because
            logger.warning("mitm-balancer: %s: %s", dispatch.provider, text)
            await relay.give(answers.failed(self.claim.dialect, status, text, header), NOBODY)

    async def _own_way(self, flow: http.HTTPFlow, relay: Relay, note: str) -> None:
        """The client's request with the client's own credential: control plane, or nobody could serve (P10)."""
        balanced = self.claim.kind is not PathKind.CONTROL
        if balanced and not self._hidden:
            text = f"{note or 'no account'}, and the client sent no credential of its own"
            await relay.give(answers.failed(self.claim.dialect, 503, text, relay.record.header(NOBODY)), NOBODY)
            return
        if balanced:
            logger.warning("mitm-balancer: %s: the client's own credential is used", note)
        request = flow.request
        wire_request = WireRequest(
            origin=Origin(request.scheme, request.host, request.port),
            method=request.data.method,
            target=wire.client_target(request, self._hidden),
            headers=wire.for_client(request, self._hidden),
            body=self._original_body(request),
        )
        try:
            response = await send_own(self.runtime.upstream, wire_request, self.runtime.limits.own_way())
        except UpstreamError as e:
            own = answers.failed(self.claim.dialect, 502, f"{request.host}: {e}", relay.record.header(OWN))
            await relay.give(own, OWN)
            return
        response = self.runtime.listener.passing(self.claim, request, self._hidden, self._own_body, response)
        self._open = answer = Answer(response)
        await relay.pass_on(answer, alias=OWN if balanced else "", account=OWN, dialect=None, note=note)

    async def _fail_open(self, flow: http.HTTPFlow, relay: Relay) -> None:
        if relay.committed:
            await relay.outlet.broken("mitm-balancer: internal error")
        elif self._upload is not None and self._upload.used:
            own = answers.failed(self.claim.dialect, 502, "internal error", relay.record.header(NOBODY))
            await relay.give(own, NOBODY)
        else:
            await self._own_way(flow, relay, "internal error of the balancer")

    # -- small things -------------------------------------------------------------------------------------------

    def _recorder(self) -> Recorder | None:
        """Who hears of the request's steps: nobody of the agent's own affairs."""
        return None if self.claim.kind is PathKind.CONTROL else self.runtime.recorder

    def _size(self, request: http.Request) -> int | None:
        """Bytes of the request's body; None: it is still coming."""
        return None if self._upload is not None else len(request.raw_content or b"")

    def _policy(self) -> DispatchPolicy:
        policy = self.runtime.policy
        if self._upload is not None:
            return dataclasses.replace(policy, max_attempts=1, hold=0.0)
        if self.claim.kind is PathKind.BOUND:
            # What one account made, another cannot know: no redispatch.
            return dataclasses.replace(policy, failover=False)
        return policy

    def _body(self, request: http.Request) -> bytes | AsyncIterator[bytes]:
        return self._original_body(request) if self._stripped is None else self._stripped.body

    def _original_body(self, request: http.Request) -> bytes | AsyncIterator[bytes]:
        if self._upload is not None:
            return self._upload.chunks()
        return (request.raw_content if self._own_body is None else self._own_body) or b""

    def _timeouts(self, stream: bool) -> Timeouts:
        """The limits of an attempt; its head must come before the request's deadline."""
        timeouts = self.runtime.limits.timeouts(stream=stream)
        if self._dispatch is None:
            return timeouts
        left = max(1.0, self._dispatch.policy.deadline - (self.runtime.clock() - self._dispatch.started))
        return timeouts if timeouts.head is not None and timeouts.head <= left else timeouts.with_head(left)

    async def _wire(self, request: http.Request, route: Route, carrier: wire.Carrier) -> WireRequest | None:
        """What is sent to this account; None: it cannot be."""
        body = self._body(request) if self._again is None else self._again
        gone = self._binding.gone(route.account.name)
        if route.stand_in is None:
            return route.wire(request, carrier, gone, body)
        # Finding the model in a megabyte takes a while: other streams go on meanwhile.
        return await asyncio.to_thread(route.wire, request, carrier, gone, body)

    async def _strip(self, request: http.Request, record: Record, dispatch: Dispatch) -> None:
        """Reasoning that was refused goes, and the same account is asked once more (wire-facts 25.1: C1, C2)."""
        quoted = b"" if self._open is None else self._open.prefix
        if (
            self._stripped is not None
            or dispatch.last is None
            or not is_refused(self.claim.dialect, dispatch.last, quoted)
        ):
            return
        # A megabyte takes a tenth of a second: other streams go on meanwhile.
        made = await asyncio.to_thread(bodies.without_reasoning, request, self.claim.dialect)
        if made is not None and dispatch.retry_same(f"without {made.what}, which were refused", self.runtime.clock()):
            self._stripped = made
            record.data["stripped"] = f"{made.count} {made.what}"

    def _close_open(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _tell(self, flow: http.HTTPFlow, record: Record, account: Account, step: Attempt, result: Result) -> None:
        outcome = result.outcome
        wait = "" if outcome.wait is None else f", back in {countdown(outcome.wait)}"
        logger.info("mitm-balancer: %s: %s (%s)%s", account.name, outcome.verdict.value, outcome.reason, wait)
        if not self._observed:
            return
        response = None
        if result.answer is not None:
            response = display.response_head(result.answer.response, ())
            response.data.content = result.answer.prefix
            response.stream = False
            response.timestamp_end = response.timestamp_start
            wire.hide_cookies(response)
            if account.carrier is not None:
                wire.hide_quoted_in(response, account.carrier.credential)
        display.show_failed_attempt(flow, step.number, account.name, outcome, response, record.so_far())
