"""One upstream try: send, look at the head, and read as far as the verdict needs.

A refusal is collected and classified. A stream is held until its first meaningful event (DESIGN section 4.6), so that
an error event, an empty stream or a cut before it is a verdict like a status and never reaches the client.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from dataclasses import dataclass

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.gate import Gate, GateState
from mitm_balancer.core.verdict import SUCCESS, Outcome, Scope, Sent, Verdict
from mitm_balancer.providers.classify import classify, classify_event, classify_success_body
from mitm_balancer.providers.model import Provider
from mitm_balancer.proxy.fields import first
from mitm_balancer.upstream.base import ConnInfo, Timeouts, Upstream, UpstreamError, UpstreamResponse, WireRequest

ERROR_BODY_LIMIT = 64 * 1024
"""Bytes of an error body that are read for the verdict (DESIGN section 4.6)."""

ERROR_BODY_WAIT = 10.0
"""Seconds that the body of an error may take; a verdict is then made from what is there."""


_SUSPECT = (b'"error"', b"base_resp")


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
    first_event: float | None = None
    """A stream: seconds from its head to the first meaningful event."""
    head: float | None = None
    """Seconds from the start of the attempt to the head of its answer; None: there was none."""
    connect: float | None = None
    """Seconds of it for the connection; None: one was there already."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an attempt needs to know to judge its answer. Seconds."""

    provider: Provider
    dialect: Dialect
    model: str
    stream: bool
    timeouts: Timeouts
    first_token: float | None
    """Limit for the first meaningful event; None: none."""
    commit_hold: float
    """After this time the stream is committed, whatever it has said."""


async def attempt(upstream: Upstream, request: WireRequest, rules: Rules) -> Result:
    """Make it. Never raises but for cancellation: a failure is an Outcome."""
    started = time.monotonic()
    try:
        response = await upstream.send(request, rules.timeouts)
    except UpstreamError as e:
        return Result(transport_outcome(e), None, time.monotonic() - started)
    head = time.monotonic() - started
    try:
        result = await _judge(response, rules)
    except BaseException:
        response.close()
        raise
    result.seconds = time.monotonic() - started
    result.head, result.connect = head, _connecting(response.info)
    return result


def _connecting(info: ConnInfo) -> float | None:
    """Seconds that making the connection took; None: it was there."""
    ready = info.tls_done or info.connected
    return None if info.reused or ready is None else max(0.0, ready - info.started)


async def _judge(response: UpstreamResponse, rules: Rules) -> Result:
    answer = Answer(response)
    if response.status >= 400:
        await _collect(answer)
        outcome = classify(
            rules.provider,
            response.status,
            response.headers,
            answer.prefix,
            now=time.time(),
            model=rules.model or None,
        )
        if answer.complete:
            response.close()  # the connection is free for the next attempt; the bytes are ours
        return Result(outcome, answer, 0.0)
    if response.status != 200:
        return Result(SUCCESS, answer, 0.0)
    content_type = header(response, b"content-type")
    if rules.stream or content_type.startswith("text/event-stream"):
        return await _hold(answer, rules, content_type)
    if content_type.startswith("application/json") and _may_be_small(response):
        return await _look_into(answer, rules)
    return Result(SUCCESS, answer, 0.0)


async def _collect(answer: Answer) -> UpstreamError | None:
    """Read a body as far as a verdict needs it. Returns what cut it off, if something did.

    A body that was cut or is late is not `complete`: reading on says so again, so the client never gets a length that
    is not kept.
    """
    parts: list[bytes] = []
    size = 0
    failure: UpstreamError | None = None
    try:
        async with asyncio.timeout(ERROR_BODY_WAIT):
            while size <= ERROR_BODY_LIMIT:
                data = await answer.response.read()
                if not data:
                    answer.complete = True
                    break
                parts.append(data)
                size += len(data)
    except TimeoutError:
        pass  # the verdict is made from what is there
    except UpstreamError as e:
        failure = e
    answer.prefix = b"".join(parts)
    return failure


async def _hold(answer: Answer, rules: Rules, content_type: str) -> Result:
    """Read a stream up to its commit point."""
    gate = Gate(rules.dialect, content_type=content_type, content_encoding=header(answer.response, b"content-encoding"))
    head_at = time.monotonic()
    parts: list[bytes] = []
    outcome: Outcome | None = None
    while gate.state is GateState.HOLD:
        try:
            data = await _read(answer.response, head_at, rules)
        except _HeldLongEnoughError:
            break
        except UpstreamError as e:
            # What a provider had begun may be billed: a cut before the first event is ambiguous, like silence (P5).
            outcome = transport_outcome(e)
            break
        if data:
            parts.append(data)
            gate.feed(data)
        elif gate.eof() is GateState.ENDED_EMPTY:
            outcome = _ambiguous("empty stream", "the stream ended before it said anything")
            answer.complete = True
    answer.prefix = b"".join(parts)
    if gate.malformed:
        outcome = _ambiguous("malformed event", "the stream began with an event that cannot be read")
    elif gate.state is GateState.FAILED:
        outcome = classify_event(
            rules.provider,
            gate.error,
            headers=answer.response.headers,
            now=time.time(),
            model=rules.model or None,
            status=answer.response.status,
        )
    first = time.monotonic() - head_at if gate.state is GateState.COMMIT else None
    return Result(outcome or SUCCESS, answer, 0.0, first)


class _HeldLongEnoughError(Exception):
    """`commit_hold` has passed: what came is given to the client, meaningful or not."""


async def _read(response: UpstreamResponse, head_at: float, rules: Rules) -> bytes:
    now = time.monotonic()
    hold = head_at + rules.commit_hold - now
    token = float("inf") if rules.first_token is None else head_at + rules.first_token - now
    try:
        async with asyncio.timeout(max(0.0, min(hold, token))):
            return await response.read()
    except TimeoutError:
        if token <= hold:
            text = f"no meaningful event within {rules.first_token:g} s"
            raise UpstreamError("first event", text, sent=Sent.ALL, timeout=True) from None
        raise _HeldLongEnoughError from None


async def _look_into(answer: Answer, rules: Rules) -> Result:
    """A small JSON 200: some providers put errors there (MiniMax, OpenRouter). Its client waits for all of it."""
    failure = await _collect(answer)
    if failure is not None:
        return Result(transport_outcome(failure), answer, 0.0)
    if not any(mark in answer.prefix for mark in _SUSPECT) and "content-encoding" not in _names(answer.response):
        return Result(SUCCESS, answer, 0.0)
    outcome = classify_success_body(
        rules.provider, answer.response.headers, answer.prefix, now=time.time(), model=rules.model or None
    )
    return Result(outcome, answer, 0.0)


def transport_outcome(error: UpstreamError) -> Outcome:
    """An attempt without an answer, as a verdict. A silent account is left after one time-out (section 5)."""
    before_request = error.stage in ("connect", "tls", "proxy")
    return Outcome(
        Verdict.TRANSPORT_FAILURE,
        reason=f"{error.stage} timeout" if error.timeout else error.stage,
        scope=Scope.ACCOUNT,
        redispatch=True,
        sent=Sent.NOTHING if before_request else error.sent,
        message=str(error)[:300],
    )


def _ambiguous(reason: str, message: str) -> Outcome:
    return Outcome(
        Verdict.TRANSPORT_FAILURE, reason, Scope.ACCOUNT, redispatch=True, sent=Sent.ALL, message=message, status=200
    )


def header(response: UpstreamResponse, name: bytes) -> str:
    """The first value of a response field, or "". `name` is lower case."""
    value = first(response.headers, name)
    return "" if value is None else value.decode("latin-1")


def _names(response: UpstreamResponse) -> set[str]:
    return {name.decode("latin-1").lower() for name, _ in response.headers}


def _may_be_small(response: UpstreamResponse) -> bool:
    """A body without a stated length is read up to the limit before it is known to be large."""
    length = header(response, b"content-length")
    return not length or (length.isdigit() and int(length) <= ERROR_BODY_LIMIT)


def masked(outcome: Outcome, credential: str) -> Outcome:
    """The outcome with the credential taken out of the provider's text, which goes into logs and traces (P7)."""
    if credential not in outcome.message:
        return outcome
    return dataclasses.replace(outcome, message=outcome.message.replace(credential, "***"))
