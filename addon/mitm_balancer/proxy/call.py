"""One client request from its last byte to the end of its answer.

The call does what the dispatcher says: attempt, pause, stop; then it relays the answer. It decides nothing itself. It
is a plain asyncio task beside mitmproxy's layers, so a cancelled client cancels it, and with it the upstream, at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging

from mitmproxy import http
from mitmproxy.proxy.server import ConnectionHandler

from mitm_balancer.core.dispatch import Dispatch, DispatchPolicy, Stop
from mitm_balancer.core.resume import Script, Way
from mitm_balancer.core.tail import Tail
from mitm_balancer.core.verdict import Outcome
from mitm_balancer.providers.model import PathKind
from mitm_balancer.proxy import caching, facts, logins, metering, resuming, switches, wire
from mitm_balancer.proxy.attempt import Answer
from mitm_balancer.proxy.ends import Ends
from mitm_balancer.proxy.entrance import Entrance
from mitm_balancer.proxy.hooks import Hooks
from mitm_balancer.proxy.outlet import Outlet, StreamOutlet, Upload
from mitm_balancer.proxy.payload import Payload
from mitm_balancer.proxy.record import Record
from mitm_balancer.proxy.relay import BrokenAnswerError, Relay, in_stream_error
from mitm_balancer.proxy.routes import routes
from mitm_balancer.proxy.runtime import Account, Claim, Recorder, Runtime, new_request_id
from mitm_balancer.proxy.search import Search
from mitm_balancer.proxy.sockets import OpenSocket, SocketWatch, is_upgrade
from mitm_balancer.proxy.stream import BalancedLayer
from mitm_balancer.proxy.tasks import spawn

logger = logging.getLogger(__name__)


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
        self._payload = Payload()
        self._ends = Ends(runtime, claim, hidden, self._payload)
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._relay: Relay | None = None
        self._dispatch: Dispatch | None = None
        self._search: Search | None = None

    # -- CallPort -----------------------------------------------------------------------------------------------

    def attach(self, handler: ConnectionHandler, layer: BalancedLayer, stream_id: int, hooks: Hooks) -> None:
        """Whose request it is, and who listens."""
        self._client = (handler, layer, stream_id)
        self._hooks = hooks

    def take_body(self, body: bytes) -> bytes | None:
        if self.keep_body:
            return body
        self._payload.kept_back = body
        return None

    def start(self, flow: http.HTTPFlow) -> None:
        if self._cancelled:
            return
        assert self._client is not None
        outlet = StreamOutlet(*self._client, flow, self._hooks)
        self._task = spawn(self._watched(flow, outlet), "balancer call")

    def start_upload(self, flow: http.HTTPFlow, first: bytes) -> None:
        assert self._client is not None
        self._payload.upload = Upload(self._client[0])
        self._payload.upload.put(first)
        self.start(flow)

    def upload(self, data: bytes) -> None:
        assert self._payload.upload is not None
        if self._task is None or self._task.done():
            return  # answered before the end: the client may finish, nobody listens
        self._payload.upload.put(data)

    def upload_ended(self) -> None:
        assert self._payload.upload is not None
        self._payload.upload.end()

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
            await self._ends.fail_open(flow, relay)
        finally:
            if self._dispatch is not None:
                self._dispatch.close()  # the lease ends; an attempt that never ended counts for nothing (P6)
            if self._search is not None:
                self._search.close()
            self._ends.close()
            self._payload.discard()
            if (socket := self.runtime.sockets.pop(flow.id, None)) is not None:
                socket.ended(by_client=not relay.over or bool(flow.websocket and flow.websocket.closed_by_client))
            metering.answered(self.runtime, self.claim, record, relay.gauge)
            metering.resumed(self.runtime, record, relay.again)
            caching.remember(self._dispatch, request, record, self.runtime.clock())
            if self.claim.kind is not PathKind.CONTROL:
                record.finish(ended, relay.received)
                record.keep()

    async def _serve(self, flow: http.HTTPFlow, relay: Relay) -> None:
        claim, record = self.claim, relay.record
        if claim.kind is PathKind.CONTROL:
            record.facts(claim.pool.provider.name, claim.kind.value, "", False)
            await self._ends.own_way(flow, relay, "")
            return
        known = facts.read(flow.request, claim.dialect)
        record.facts(claim.pool.provider.name, claim.kind.value, known.model, known.stream)
        self.runtime.listener.balanced(claim, flow.request, self._hidden)
        if wire.could_smuggle(flow.request):
            # Before any attempt: it would count for the account, and no account can send it.
            await self._ends.failed(relay, 400, "a header of the request holds CR, LF or NUL")
            return
        if claim.pool.provider.websocket == "refuse" and is_upgrade(flow.request):
            text = "WebSocket is switched off for this provider"
            await self._ends.failed(relay, 426, text)
            return
        if self.runtime.insecure:
            await self._ends.own_way(flow, relay, "ssl_insecure is set, so no account's credential is sent")
            return
        await self.runtime.ready.wait()
        # While this waited, for the credentials or for its own body, the pool may have been made anew.
        pool = self.runtime.pools.get(claim.pool.provider.name, claim.pool)
        self.claim = claim = dataclasses.replace(claim, pool=pool)
        search, dispatch = self._begin(flow, record, known)
        entrance = Entrance(self.runtime, dispatch, known.session, known.stream or is_upgrade(flow.request))
        caching.attach(dispatch, flow.request, claim.dialect)
        record.begins("" if dispatch.tie is None else dispatch.tie.keys.own, self._payload.size(flow.request))
        found = await search.find(dispatch, entrance)
        now = self.runtime.clock()
        record.passed_over(dispatch, now)
        if isinstance(found, Stop):
            record.stopped(found.because, exhausted=found.exhausted and search.routes.pin is None, wait=found.wait)
            await self._ends.stopped(flow, relay, found, dispatch, search)
            return
        route, answer = found
        switches.noticed(self.runtime, search.routes, route, record, dispatch, now)
        await self._served(relay, route.account, answer, dispatch, search)

    def _begin(self, flow: http.HTTPFlow, record: Record, known: facts.Facts) -> tuple[Search, Dispatch]:
        """Where it may go, and what decides."""
        runtime, claim = self.runtime, self.claim
        where = routes(runtime, claim, flow.request, known, whole=not self._payload.once)
        binding = runtime.resources.of(claim, flow.request, known.refers, where)
        if known.refers and binding.pin is None:
            where = where.at_home()
        where = where.pinned(runtime, self._run, known.session)
        self._dispatch = dispatch = runtime.dispatch(claim.pool, known.model, self._policy(), where.order)
        binding.bind(dispatch, record.data)
        dispatch.prefer = dispatch.prefer or where.away
        self._search = search = Search(
            runtime, claim, flow, record, known, self._payload, binding, where, observed=self._observed
        )
        return search, dispatch

    async def _served(self, relay: Relay, account: Account, answer: Answer, dispatch: Dispatch, search: Search) -> None:
        runtime, claim, flow = self.runtime, self.claim, relay.flow
        if answer.response.status == 101:
            dispatch.give_up_seat()  # a socket is idle most of its life, which may be days
            watch = SocketWatch(account.provider, claim.dialect, answer.response.headers, dispatch.model)
            socket = OpenSocket(runtime, claim, account, watch, relay.outlet, dispatch)
            runtime.sockets[flow.id] = socket
        search.binding.answered(account.name, answer)
        script = resuming.script_for(runtime.limits.resume, claim, flow.request, answer)
        try:
            tail = await relay.pass_on(
                answer, alias=account.alias, account=account.name, dialect=claim.dialect, script=script
            )
        except BrokenAnswerError as e:
            # What a socket's end means, the socket knows: an idle one may end at any time.
            heard = self._learn_from(relay.record, account, dispatch, answer, e.tail)
            if not heard and answer.response.status != 101:
                self._learn(account, dispatch, e.outcome)
            if script is None or e.tell is None:
                raise
            await self._go_on(relay, script, e, search)
            return
        if tail is None:
            return
        search.binding.ended(account.name, tail)
        self._learn_from(relay.record, account, dispatch, answer, tail)

    async def _go_on(self, relay: Relay, script: Script, broken: BrokenAnswerError, search: Search) -> None:
        """A second answer takes the place of one that broke (`resume`)."""
        runtime, pool, known = self.runtime, self.claim.pool, search.known

        async def second(body: bytes) -> tuple[str, Answer] | str:
            if not pool.budget.withdraw(runtime.clock()):
                return "retry budget empty"
            search.close()
            self._payload.again = body
            if self._dispatch is not None:
                self._dispatch.close()
            policy = dataclasses.replace(self._policy(), max_attempts=2, hold=0.0)
            self._dispatch = dispatch = runtime.dispatch(pool, known.model, policy, search.routes.order)
            found = await search.find(dispatch, Entrance(runtime, dispatch, known.session, True))
            return found.because if isinstance(found, Stop) else (found[0].account.name, found[1])

        way, body = Way(runtime.limits.resume), self._payload.whole(relay.flow.request)
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

    def _recorder(self) -> Recorder | None:
        """Who hears of the request's steps: nobody of the agent's own affairs."""
        return None if self.claim.kind is PathKind.CONTROL else self.runtime.recorder

    def _policy(self) -> DispatchPolicy:
        policy = self.runtime.policy
        if self._payload.once:
            return dataclasses.replace(policy, max_attempts=1, hold=0.0)
        if self.claim.kind is PathKind.BOUND:
            # What one account made, another cannot know: no redispatch.
            return dataclasses.replace(policy, failover=False)
        return policy
