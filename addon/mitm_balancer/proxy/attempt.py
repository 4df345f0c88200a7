"""One upstream try: send, look at the head, collect and classify a refusal."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from mitm_balancer.core.verdict import SUCCESS, Outcome, Scope, Sent, Verdict
from mitm_balancer.providers.classify import classify
from mitm_balancer.providers.model import Provider
from mitm_balancer.upstream.base import Timeouts, Upstream, UpstreamError, UpstreamResponse, WireRequest

ERROR_BODY_LIMIT = 64 * 1024
"""Bytes of an error body that are read for the verdict (DESIGN section 4.6)."""

ERROR_BODY_WAIT = 10.0
"""Seconds that the body of an error may take; a verdict is then made from what is there."""


@dataclass(slots=True)
class Answer:
    """A response that may still be given to the client: what was read of it, and the rest."""

    response: UpstreamResponse
    prefix: bytes = b""
    complete: bool = False
    """Whether `prefix` is the whole body."""

    def close(self) -> None:
        self.response.close()


@dataclass(slots=True)
class Result:
    """How an attempt ended."""

    outcome: Outcome
    answer: Answer | None
    seconds: float
    """From the start of the attempt to its verdict."""


async def attempt(
    upstream: Upstream, request: WireRequest, timeouts: Timeouts, provider: Provider, model: str
) -> Result:
    """Make it. Never raises but for cancellation: a failure is an Outcome."""
    started = time.monotonic()
    try:
        response = await upstream.send(request, timeouts)
    except UpstreamError as e:
        return Result(transport_outcome(e), None, time.monotonic() - started)
    try:
        return await _judge(response, provider, model, started)
    except BaseException:
        response.close()
        raise


async def _judge(response: UpstreamResponse, provider: Provider, model: str, started: float) -> Result:
    if response.status < 400:
        return Result(SUCCESS, Answer(response), time.monotonic() - started)
    answer = Answer(response)
    await _collect(answer)
    outcome = classify(provider, response.status, response.headers, answer.prefix, now=time.time(), model=model or None)
    if answer.complete:
        response.close()  # the connection is free for the next attempt; the bytes are ours
    return Result(outcome, answer, time.monotonic() - started)


async def _collect(answer: Answer) -> None:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(ERROR_BODY_WAIT):
            while size <= ERROR_BODY_LIMIT:
                data = await answer.response.read()
                if not data:
                    answer.complete = True
                    break
                parts.append(data)
                size += len(data)
    except (TimeoutError, UpstreamError):
        answer.complete = True  # the head said enough; what is missing will not come
    answer.prefix = b"".join(parts)


def transport_outcome(error: UpstreamError) -> Outcome:
    """An attempt without an answer, as a verdict. A silent account is left after one time-out (section 5)."""
    return Outcome(
        Verdict.TRANSPORT_FAILURE,
        reason=f"{error.stage} timeout" if error.timeout else error.stage,
        scope=Scope.ACCOUNT,
        redispatch=True,
        sent=error.sent if error.stage in ("write", "head", "body") else Sent.NOTHING,
        message=str(error)[:300],
    )
