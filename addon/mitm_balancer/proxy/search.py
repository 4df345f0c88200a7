"""The attempts of one request: what the dispatcher says is done until somebody answers, or nobody is left."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING

from mitmproxy import http

from mitm_balancer.core.dispatch import Attempt, Dispatch, Pause, Queue, Renew, Stop
from mitm_balancer.core.durations import countdown
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.proxy import bodies, display, logins, metering, wire
from mitm_balancer.proxy.attempt import Answer, Result, Rules, attempt, masked
from mitm_balancer.proxy.bound import Binding
from mitm_balancer.proxy.entrance import Entrance
from mitm_balancer.proxy.facts import Facts
from mitm_balancer.proxy.payload import Payload
from mitm_balancer.proxy.reasoning import Reasoning
from mitm_balancer.proxy.record import Record
from mitm_balancer.proxy.routes import Route, Routes
from mitm_balancer.upstream.base import Timeouts, WireRequest

if TYPE_CHECKING:
    from mitm_balancer.proxy.runtime import Account, Claim, Runtime

logger = logging.getLogger(__name__)

LOOK = 0.25
"""Seconds between two looks of a request that is held."""

_NO_CREDENTIAL = Outcome(Verdict.AUTH_FAILURE, "no credential", Scope.REQUEST, redispatch=True)
_NOT_THERE = Outcome(Verdict.MODEL_UNAVAILABLE, "cannot be sent there", Scope.REQUEST, redispatch=True)


class Search:
    """Goes on from the last attempt when it is asked again. `observed`: somebody looks at flows."""

    def __init__(
        self,
        runtime: Runtime,
        claim: Claim,
        flow: http.HTTPFlow,
        record: Record,
        known: Facts,
        payload: Payload,
        binding: Binding,
        routes: Routes,
        *,
        observed: bool,
    ) -> None:
        self.runtime, self.claim, self.flow, self.record, self.known = runtime, claim, flow, record, known
        self.payload, self.binding, self.routes = payload, binding, routes
        self._observed = observed
        self._reasoning = Reasoning(runtime, claim, flow.request, known.session)
        self.open: Answer | None = None
        """The last answer, which the client may still get."""

    async def find(self, dispatch: Dispatch, entrance: Entrance) -> tuple[Route, Answer] | Stop:
        """Who answers, and the answer at its commit point."""
        clock = self.runtime.clock
        account: Account | None = None
        while True:
            step = dispatch.next(clock())
            if isinstance(step, Pause):
                self.record.paused(await self._pause(step, dispatch))
            elif isinstance(step, Queue):
                await entrance.wait(step.seconds)
            elif isinstance(step, Renew):
                assert account is not None and dispatch.last is not None
                refusal = await logins.refused(self.runtime, account, dispatch.last, dispatch)
                dispatch.renewed(clock(), refusal)
                if refusal is not None:
                    self.record.refused(refusal)
            elif isinstance(step, Stop):
                return step
            else:
                route = await self._try(step, dispatch)
                account = route.account
                if self.open is not None and dispatch.last is not None and dispatch.last.ok:
                    return route, self.open

    def close(self) -> None:
        """Let go of the last answer."""
        if self.open is not None:
            self.open.close()
            self.open = None

    async def _pause(self, step: Pause, dispatch: Dispatch) -> float:
        """The seconds that it took: a hold ends when somebody is back, though it be by a command."""
        started = now = self.runtime.clock()
        while (left := started + step.seconds - now) > 0 and not (step.holding and dispatch.somebody_is_back(now)):
            await asyncio.sleep(min(left, LOOK) if step.holding else left)
            now = self.runtime.clock()
        return now - started

    async def _try(self, step: Attempt, dispatch: Dispatch) -> Route:
        """One attempt and what follows from it; the route as it was when it was sent."""
        self.close()
        runtime = self.runtime
        route = self.routes.of(step.target.name)
        account, unable = await logins.ready(runtime, route.account, dispatch)
        route = dataclasses.replace(route, account=account)
        self.record.tries(account.name, step.because)
        result = await self._attempt(route, dispatch) if unable is None else Result(unable, None, 0.0)
        self.open = result.answer
        self.record.attempt(route, step.because, result)
        dispatch.ended(result.outcome, runtime.clock(), renewable=account.renewable and unable is None)
        if self.payload.once:
            logins.nudge(runtime, account, result.outcome)
        if result.outcome.ok:
            self._reasoning.served(account.provider.name)
        else:
            await self._strip(account, dispatch)
            self._tell(account, step, result)
        return route

    async def _attempt(self, route: Route, dispatch: Dispatch) -> Result:
        runtime, account, model, known = self.runtime, route.account, route.model, self.known
        carrier = route.carrier(self.flow.request, self.claim)
        if carrier is None:
            return Result(_NO_CREDENTIAL, None, 0.0)
        made = await self._wire(route, carrier)
        if made is None:
            return Result(_NOT_THERE, None, 0.0)
        rules = Rules(
            provider=account.provider,
            dialect=self.claim.dialect,
            model=model,
            stream=known.stream,
            timeouts=self._timeouts(dispatch),
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

    async def _wire(self, route: Route, carrier: wire.Carrier) -> WireRequest | None:
        """What is sent to this account; None: it cannot be."""
        request = self.flow.request
        body, gone = self.payload.next(request), self.binding.gone(route.account.name)
        if self.payload.again is None and not self.payload.once:
            left = await self._reasoning.left(route.account.provider.name)
            body = body if left is None else left.body
        if route.stand_in is None:
            return route.wire(request, carrier, gone, body)
        # Finding the model in a megabyte takes a while: other streams go on meanwhile.
        return await asyncio.to_thread(route.wire, request, carrier, gone, body)

    def _timeouts(self, dispatch: Dispatch) -> Timeouts:
        """The limits of an attempt; its head must come before the request's deadline."""
        timeouts = self.runtime.limits.timeouts(stream=self.known.stream)
        left = max(1.0, dispatch.policy.deadline - (self.runtime.clock() - dispatch.started))
        return timeouts if timeouts.head is not None and timeouts.head <= left else timeouts.with_head(left)

    async def _strip(self, account: Account, dispatch: Dispatch) -> None:
        """Reasoning that was refused goes, and the same account is asked once more."""
        last, quoted = dispatch.last, b"" if self.open is None else self.open.prefix
        made = None if last is None else await self._reasoning.refused(account.provider.name, last, quoted)
        if made is not None and dispatch.retry_same(f"without {made.what}, which were refused", self.runtime.clock()):
            self.payload.stripped = made
            self.record.data["stripped"] = f"{made.count} {made.what}"

    def _tell(self, account: Account, step: Attempt, result: Result) -> None:
        """The log, and a flow of its own where somebody looks."""
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
        display.show_failed_attempt(self.flow, step.number, account.name, outcome, response, self.record.so_far())
