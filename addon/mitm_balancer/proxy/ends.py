"""What the client gets when no account has answered: an error in its dialect, the last refusal, or its own way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mitmproxy import http

from mitm_balancer.core.dispatch import Dispatch, Stop
from mitm_balancer.core.verdict import Verdict
from mitm_balancer.providers.model import PathKind
from mitm_balancer.proxy import answers, logins, wire
from mitm_balancer.proxy.attempt import Answer
from mitm_balancer.proxy.payload import Payload
from mitm_balancer.proxy.relay import Relay
from mitm_balancer.proxy.search import Search
from mitm_balancer.proxy.sending import send_own
from mitm_balancer.proxy.sockets import is_upgrade
from mitm_balancer.upstream.base import Origin, UpstreamError, WireRequest

if TYPE_CHECKING:
    from mitm_balancer.proxy.runtime import Claim, Runtime

logger = logging.getLogger(__name__)

OWN = "client"
"""Stands for the account in `x-balancer` when the client's own credential served."""

NOBODY = "none"


class Ends:
    """Of one request. `hidden`: the client's own credential, which no flow shows."""

    def __init__(self, runtime: Runtime, claim: Claim, hidden: wire.Hidden, payload: Payload) -> None:
        self.runtime, self.claim, self.hidden, self.payload = runtime, claim, hidden, payload
        self.open: Answer | None = None
        """The answer to the client's own way."""

    async def stopped(self, flow: http.HTTPFlow, relay: Relay, stop: Stop, dispatch: Dispatch, search: Search) -> None:
        """No further attempt."""
        last, pin = dispatch.last, search.routes.pin
        over = logins.over(last) and not (stop.empty or stop.exhausted or self.payload.spent)
        if (stop.empty or stop.exhausted) and search.routes.over_http:
            # Another provider takes no socket of this one's clients; what they ask over HTTP, it answers.
            await self.failed(relay, 426, "ask over HTTP: another provider stands in")
        elif stop.empty and pin is None:
            await self.own_way(flow, relay, answers.nobody(stop, dispatch))
        elif over and pin is None:
            assert last is not None
            await self.own_way(flow, relay, last.message)  # as for the requests to come: nobody is left
        elif stop.empty or stop.exhausted or over:
            await self._out(flow, relay, stop, dispatch, search)
        elif stop.overloaded:
            logger.warning("mitm-balancer: %s", stop.because)
            own = answers.overloaded(self.claim.dialect, stop.because, relay.record.header(NOBODY))
            await relay.give(own, NOBODY)
        elif search.open is not None and last is not None and last.verdict is not Verdict.TRANSPORT_FAILURE:
            account = search.routes.of(dispatch.attempts[-1][0]).account
            name, alias = account.name, account.alias
            await relay.pass_on(search.open, alias=alias, account=name, dialect=None, note=stop.because)
        else:
            status = 504 if last is not None and "timeout" in last.reason else 502
            text = f"{last.message} ({stop.because})" if last is not None and last.message else stop.because
            logger.warning("mitm-balancer: %s: %s", dispatch.provider, text)
            await self.failed(relay, status, text)

    async def failed(self, relay: Relay, status: int, text: str, who: str = NOBODY) -> None:
        """An error of ours."""
        await relay.give(answers.failed(self.claim.dialect, status, text, relay.record.header(who)), who)

    async def own_way(self, flow: http.HTTPFlow, relay: Relay, note: str) -> None:
        """The client's request with the client's own credential: control plane, or nobody could serve (P10)."""
        balanced = self.claim.kind is not PathKind.CONTROL
        if balanced and not self.hidden:
            await self.failed(relay, 503, f"{note or 'no account'}, and the client sent no credential of its own")
            return
        if balanced:
            logger.warning("mitm-balancer: %s: the client's own credential is used", note)
        request = flow.request
        wire_request = WireRequest(
            origin=Origin(request.scheme, request.host, request.port),
            method=request.data.method,
            target=wire.client_target(request, self.hidden),
            headers=wire.for_client(request, self.hidden),
            body=self.payload.original(request),
        )
        try:
            response = await send_own(self.runtime.upstream, wire_request, self.runtime.limits.own_way())
        except UpstreamError as e:
            await self.failed(relay, 502, f"{request.host}: {e}", OWN)
            return
        kept_back = self.payload.kept_back
        response = self.runtime.listener.passing(self.claim, request, self.hidden, kept_back, response)
        self.open = answer = Answer(response)
        await relay.pass_on(answer, alias=OWN if balanced else "", account=OWN, dialect=None, note=note)

    async def fail_open(self, flow: http.HTTPFlow, relay: Relay) -> None:
        """We have failed: the client must not (P10)."""
        if relay.committed:
            await relay.outlet.broken("mitm-balancer: internal error")
        elif self.payload.spent:
            await self.failed(relay, 502, "internal error")
        else:
            await self.own_way(flow, relay, "internal error of the balancer")

    async def _out(self, flow: http.HTTPFlow, relay: Relay, stop: Stop, dispatch: Dispatch, search: Search) -> None:
        """Everybody is out, or the one account that this request is pinned to."""
        pin, header, now = search.routes.pin, relay.record.header(NOBODY), self.runtime.clock()
        if pin is not None and not stop.exhausted:
            await relay.give(answers.pinned(self.claim.dialect, dispatch, pin.out, now, header), NOBODY)
            return
        if pin is not None:  # of all accounts being out, a notice tells
            logger.warning("mitm-balancer: %s", pin.out)
        if is_upgrade(flow.request) and (stop.wait or 0.0) > answers.SHORT_WAIT:
            # Codex reads no body of a refused handshake and sleeps for its `retry-after`. Over HTTP it hears us.
            await self.failed(relay, 426, "every account is out, ask over HTTP to hear until when")
            return
        who = f"every {dispatch.provider} account is out" if pin is None else pin.out
        await relay.give(answers.exhausted(self.claim.dialect, dispatch, stop, now, header, who=who), NOBODY)

    def close(self) -> None:
        """Let go of the answer."""
        if self.open is not None:
            self.open.close()
