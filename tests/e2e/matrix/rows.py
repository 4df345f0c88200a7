"""The fault matrix as data; `page` makes `docs/fault-matrix.md` of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from e2e.helpers import ANTHROPIC, CHAT, GEMINI, RESPONSES
from e2e.matrix.row import STREAM, WHOLE, After, Row, Seen, Setting
from mitm_balancer.testing import CutHow, Step, Trouble, steps
from mitm_balancer.testing.step import AFTER_START, BEFORE_START, Framing
from mitm_balancer.testing.voices import ErrorKind

LATE = 2.0
"""Seconds: well beyond the short `commit_hold_ms`."""
SOON = 1.5
"""Seconds: a head that came within them was not held back until the content came."""
MEGABYTES = 1_500_000
LIMIT_HEADER = (("anthropic-ratelimit-requests-remaining", "0"),)
"""Anthropic's limits stand in headers; a 429 of it without any is about capacity (see `bare-429`)."""
LIMITED: dict[str, Any] = {"after": After.COOLING, "after_gemini": After.MODEL_OUT}
ARRAY = replace(GEMINI, stream_path=GEMINI.stream_path.removesuffix("?alt=sse"))
"""Gemini's other framing: the stream is one JSON array."""
OPENAI = (CHAT, RESPONSES)

REFUSALS = (
    Row("429-wait", "429 with `retry-after`", steps.rate_limited(retry_after=600), **LIMITED),
    Row("429", "429 without `retry-after`", steps.rate_limited(headers=LIMIT_HEADER), **LIMITED),
    Row("bare-429", "429 that says nothing: no body, no limit header", steps.status(429, b"")),
    Row("quota", "plan or balance used up", steps.quota(), **LIMITED),
    Row("401", "401, or the dialect's word for a bad key", steps.unauthorized(), after=After.COOLING),
    Row("402", "402", steps.payment_required(), after=After.COOLING),
    Row("403", "403 that is the account's", steps.forbidden(), after=After.COOLING, speeches=(ANTHROPIC, GEMINI)),
    Row(
        "403-unknown", "403 that may be the request's", steps.forbidden(),
        Seen.REFUSAL, 403, "first", 1, speeches=OPENAI,
    ),
    Row("404-model", "404: the account does not have the model", steps.no_model(), after=After.MODEL_OUT),
    Row("400", "400", steps.invalid(), Seen.REFUSAL, 400, "first", 1),
    Row("context", "prompt too long", steps.context_too_long(), Seen.REFUSAL, 400, "first", 1),
    Row("413", "413", steps.too_large(), Seen.REFUSAL, 413, "first", 1),
    Row("policy", "content policy", steps.policy(), Seen.REFUSAL, 400, "first", 1),
    Row(
        "big-request", "429, for a request body of 1.5 MB", steps.rate_limited(retry_after=600),
        request_bytes=MEGABYTES, **LIMITED,
    ),
    Row("gzip-429", "429 with a gzip body", steps.rate_limited(retry_after=600, coding="gzip"), **LIMITED),
)  # fmt: skip

SERVER = (
    Row("500", "500 once", steps.server_error(500)),
    Row("503", "503 once", steps.server_error(503)),
    Row("529", "529", steps.server_error(529)),
    Row(
        "503-all", "503 from every account (well for the next request)", steps.server_error(503),
        Seen.REFUSAL, 503, "first", 3, repeat=2, also=steps.server_error(503),
    ),
)  # fmt: skip

NO_ANSWER = (
    Row("reset", "reset before the head", steps.reset_before_head(), ambiguous=True),
    Row("closed", "closed before the head", steps.close_before_head(), ambiguous=True),
    Row(
        "reset-both", "reset before the head, by both accounts", steps.reset_before_head(),
        Seen.OWN, 502, "none", ambiguous=True, also=steps.reset_before_head(),
    ),
    Row("garbage", "bytes that are not HTTP", steps.raw(b"\x00\x01 not HTTP\r\n\r\n"), ambiguous=True),
    Row("silence", "silence before the head", steps.silence(), ambiguous=True, setting=Setting.TIMED),
    Row(
        "silence-both", "silence before the head, from both accounts", steps.silence(),
        Seen.OWN, 504, "none", ambiguous=True, also=steps.silence(), setting=Setting.TIMED,
    ),
    Row(
        "cut-whole-big", "cut in the middle of a body of 1.5 MB",
        steps.cut(1, CutHow.RST, body_bytes=MEGABYTES), Seen.BROKEN, 200, "first", 1, forms=(WHOLE,),
    ),
    Row(
        "cut-whole-chunked", "cut in the middle of a body without a length",
        steps.cut(1, framing=Framing.CHUNKED), ambiguous=True, forms=(WHOLE,),
    ),
    Row("cut-whole", "cut in the middle of a small body", steps.cut(1), ambiguous=True, forms=(WHOLE,)),
    Row(
        "stall-whole", "stall in the middle of a small body", steps.stall(1),
        ambiguous=True, forms=(WHOLE,), setting=Setting.TIMED,
    ),
)  # fmt: skip

BEFORE_CONTENT = (
    Row("error-first", "overload error as the first event", steps.error_first(), forms=(STREAM,)),
    Row(
        "limit-first", "limit error as the first event",
        steps.error_first(ErrorKind.RATE_LIMIT, 600, headers=LIMIT_HEADER),
        forms=(STREAM,), **LIMITED,
    ),
    Row("error-start", "overload error after the start events", steps.error_after(AFTER_START), forms=(STREAM,)),
    Row("cut-head", "reset right after the head", steps.cut(BEFORE_START), ambiguous=True, forms=(STREAM,)),
    Row("cut-start", "reset before content", steps.cut(AFTER_START), ambiguous=True, forms=(STREAM,)),
    Row(
        "closed-start", "closed before content", steps.cut(AFTER_START, CutHow.FIN), ambiguous=True, forms=(STREAM,)
    ),
    Row("empty", "a stream that ends at once", steps.ok(body=b"", headers=(("content-type", "text/event-stream"),)),
        ambiguous=True, forms=(STREAM,)),
    Row("malformed-first", "malformed first event", steps.malformed(AFTER_START), ambiguous=True, forms=(STREAM,)),
    Row("gzip-error-first", "overload error as the first event, gzip", steps.error_first(coding="gzip"),
        forms=(STREAM,)),
    Row("gzip-cut-start", "reset before content, gzip", steps.cut(AFTER_START, coding="gzip"),
        ambiguous=True, forms=(STREAM,)),
    Row("array-error", "overload error as the first element of a JSON array", steps.error_first(),
        forms=(STREAM,), speeches=(ARRAY,)),
    Row("array-cut-start", "reset before content of a JSON array", steps.cut(AFTER_START),
        ambiguous=True, forms=(STREAM,), speeches=(ARRAY,)),
    Row(
        "slow-token", "no content after the head, with `first_token_timeout_ms`", steps.slow_first_token(3600),
        ambiguous=True, forms=(STREAM,), setting=Setting.TIMED,
    ),
    Row(
        "stall-start", "stall after the start events", steps.stall(AFTER_START),
        ambiguous=True, forms=(STREAM,), setting=Setting.TIMED,
    ),
    Row(
        "ping-trickle", "pings and nothing else, with `first_token_timeout_ms`", steps.ping_trickle(),
        ambiguous=True, forms=(STREAM,), setting=Setting.TIMED,
    ),
    Row(
        "slow-token-held", "slow first token, beyond `commit_hold_ms`", steps.slow_first_token(LATE),
        account="first", attempts=1, forms=(STREAM,), setting=Setting.HELD, head_within=SOON,
    ),
    Row(
        "pings-held", "pings beyond `commit_hold_ms`, then content", steps.pings(int(LATE / 0.1), 0.1),
        account="first", attempts=1, forms=(STREAM,), setting=Setting.HELD, head_within=SOON,
    ),
    Row(
        "cut-held", "cut before content, beyond `commit_hold_ms`",
        Step("cut", head_pause=1.0, trouble=Trouble.RST, after=AFTER_START),
        Seen.ERROR_EVENT, 200, "first", 1, forms=(STREAM,), setting=Setting.HELD, labelled=False,
    ),
)  # fmt: skip

AFTER_CONTENT = (
    Row("error-content", "error event after content", steps.error_after(1), Seen.AS_SENT, 200, "first", 1,
        forms=(STREAM,)),
    Row(
        "limit-content", "limit error after content",
        steps.error_after(1, ErrorKind.RATE_LIMIT, 600, headers=LIMIT_HEADER),
        Seen.AS_SENT, 200, "first", 1, forms=(STREAM,), **LIMITED,
    ),
    Row("cut-content", "reset after content", steps.cut(1), Seen.ERROR_EVENT, 200, "first", 1, forms=(STREAM,)),
    Row(
        "closed-content", "closed after content", steps.cut(1, CutHow.FIN),
        Seen.ERROR_EVENT, 200, "first", 1, forms=(STREAM,),
    ),
    Row(
        "stall-content", "stall after content, beyond `idle_timeout_ms`", steps.stall(1),
        Seen.ERROR_EVENT, 200, "first", 1, forms=(STREAM,), setting=Setting.TIMED,
    ),
    Row(
        "no-end", "end marker missing", steps.no_end_marker(),
        Seen.ERROR_EVENT, 200, "first", 1, forms=(STREAM,), speeches=(ANTHROPIC, RESPONSES, GEMINI),
    ),
    Row(
        "no-end-chat", "`[DONE]` missing after a finish reason", steps.no_end_marker(),
        Seen.AS_SENT, 200, "first", 1, forms=(STREAM,), speeches=(CHAT,),
    ),
    Row("malformed", "malformed event in the middle", steps.malformed(1), Seen.AS_SENT, 200, "first", 1),
    Row("array-cut", "reset after content of a JSON array", steps.cut(1), Seen.BROKEN, 200, "first", 1,
        forms=(STREAM,), speeches=(ARRAY,)),
    Row("gzip-cut", "reset after content, gzip", steps.cut(1, coding="gzip"), Seen.BROKEN, 200, "first", 1,
        forms=(STREAM,)),
)  # fmt: skip

HARMLESS = (
    Row("giant-line", "one line of 2 MB", steps.giant_line(), account="first", attempts=1),
    Row(
        "giant-first", "a first event of 2 MB", steps.ok(text="x" * steps.GIANT_LINE, events=1),
        account="first", attempts=1, labelled=False,
    ),
    Row("1xx", "100 and 103 first", steps.informational(), account="first", attempts=1),
    Row("big-body", "an answer of 1.5 MB", steps.big_body(MEGABYTES), account="first", attempts=1, forms=(WHOLE,)),
    Row("array", "a stream as a JSON array", steps.ok(), account="first", attempts=1,
        forms=(STREAM,), speeches=(ARRAY,)),
    Row("gzip", "gzip answer", steps.gzipped(), account="first", attempts=1),
    Row("torn", "every byte in a write of its own", steps.ok(split=1), account="first", attempts=1),
    Row("until-eof", "a body that ends with the connection", steps.until_eof(), account="first", attempts=1),
)  # fmt: skip

SECTIONS = {
    "Refusals": REFUSALS,
    "Server failures": SERVER,
    "No answer, or half of one": NO_ANSWER,
    "A stream that fails before its content": BEFORE_CONTENT,
    "A stream that fails after content": AFTER_CONTENT,
    "Odd, but no fault": HARMLESS,
}
ROWS = tuple(row for rows in SECTIONS.values() for row in rows)
