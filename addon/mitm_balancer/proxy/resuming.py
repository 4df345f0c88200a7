"""A committed stream that broke is gone on with, where the operator's `resume` says so and the text allows it.

One more answer at most, from whoever may serve, paid from the retry budget like any extra attempt for a server failure.
The trace says that it may be billed twice: what the first answer cost is billed as well.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from mitmproxy import http

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.resume import Script, Way
from mitm_balancer.core.tail import Tail
from mitm_balancer.core.verdict import Sent
from mitm_balancer.providers.model import PathKind
from mitm_balancer.proxy import fields, metering
from mitm_balancer.proxy.attempt import Answer, header
from mitm_balancer.proxy.relay import EVENT_STREAM, BrokenAnswerError, Relay
from mitm_balancer.proxy.runtime import Claim
from mitm_balancer.upstream.base import UpstreamError

logger = logging.getLogger(__name__)

type Second = Callable[[bytes], Awaitable[tuple[str, Answer] | str]]
"""Asks again with this body: who answers, and the answer at its commit point; or why nobody does."""


def script_for(resume: str, claim: Claim, request: http.Request, answer: Answer) -> Script | None:
    """What to keep of this answer; None: nothing could be gone on with. `resume` is the operator's."""
    response = answer.response
    if resume == "error" or claim.kind is not PathKind.INFERENCE or response.status != 200:
        return None
    if request.raw_content is None or fields.first(request.headers.fields, b"content-encoding") is not None:
        return None  # too large to be sent twice, or not ours to read
    if header(response, b"content-encoding") or header(response, b"content-length"):
        return None
    return Script(claim.dialect) if header(response, b"content-type").startswith(EVENT_STREAM) else None


async def go_on(
    relay: Relay, dialect: Dialect, way: Way, script: Script, broken: BrokenAnswerError, body: bytes, second: Second
) -> None:
    """Give the client the rest. Raises `broken` once the client has been told that there is none."""
    assert broken.tell is not None
    try:
        await _go_on(relay, dialect, way, script, body, second)
    except UpstreamError as e:
        relay.record.data["not_resumed"] = str(e)
        await broken.tell()
        raise broken from None


async def _go_on(relay: Relay, dialect: Dialect, way: Way, script: Script, body: bytes, second: Second) -> None:
    after = len(script.text)
    again = script.request(way, body)
    found = "the request does not allow it" if again is None else await second(again)
    if isinstance(found, str):
        raise UpstreamError("resume", found, sent=Sent.ALL)
    account, answer = found
    response = answer.response
    if response.status != 200 or header(response, b"content-encoding"):
        raise UpstreamError("resume", "the second answer cannot be read", sent=Sent.ALL)
    relay.record.data["resumed"] = {
        "way": way.value, "after": after, "account": account, "may_be_billed_twice": True,
    }  # fmt: skip
    logger.info("mitm-balancer: %s goes on with an answer that broke after %d characters", account, after)
    tail = Tail(dialect, content_type=EVENT_STREAM)
    relay.again = account, metering.gauge(response, dialect, tail)
    await relay.go_on(answer, script, tail)
    answer.close()
