"""Each dialect has its provider's shapes: answers, streams, errors (wire-facts sections x.4 and x.5)."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import pytest

from mitm_balancer.providers.model import Dialect
from mitm_balancer.testing import ErrorKind, Step, Trouble, steps
from mitm_balancer.testing.ask import Ask, AskKind, read_ask
from mitm_balancer.testing.plan import Cut, Data, End, Head, Wait, plan
from mitm_balancer.testing.voices import VOICES

PATHS = {
    Dialect.ANTHROPIC_MESSAGES: "/v1/messages",
    Dialect.OPENAI_CHAT: "/v1/chat/completions",
    Dialect.OPENAI_RESPONSES: "/v1/responses",
    Dialect.GEMINI: "/v1beta/models/m:streamGenerateContent?alt=sse",
}


def asked(path: str, **fields: Any) -> Ask:
    body = json.dumps({"model": "m", **fields}).encode()
    return read_ask("POST", path, (), body, label="a", number=1, now=1_000_000.0)


def answer(step: Step, ask: Ask) -> tuple[Head, bytes]:
    head, *rest = plan(step, ask)
    assert isinstance(head, Head)
    return head, b"".join(action.data for action in rest if isinstance(action, Data))


def events(body: bytes) -> list[Any]:
    """The JSON of every data line; text where it is none."""
    lines = [line.removeprefix("data: ") for line in body.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line) if line.startswith("{") else line for line in lines]


def streamed(dialect: Dialect, step: Step | None = None, **fields: Any) -> list[Any]:
    return events(answer(step or steps.ok(), asked(PATHS[dialect], stream=True, **fields))[1])


def test_anthropic_stream() -> None:
    kinds = [event["type"] for event in streamed(Dialect.ANTHROPIC_MESSAGES)]
    opening = ["message_start", "content_block_start", "ping"]
    assert kinds == [*opening, *["content_block_delta"] * 3, "content_block_stop", "message_delta", "message_stop"]
    assert streamed(Dialect.ANTHROPIC_MESSAGES)[-2]["usage"] == {"output_tokens": 3}


def test_chat_stream_has_usage_only_when_asked() -> None:
    plain = streamed(Dialect.OPENAI_CHAT)
    assert plain[-1] == "[DONE]" and plain[-2]["choices"][0]["finish_reason"] == "stop"
    assert plain[0]["choices"][0]["delta"]["role"] == "assistant"
    counted = streamed(Dialect.OPENAI_CHAT, stream_options={"include_usage": True})
    assert counted[-2]["choices"] == [] and counted[-2]["usage"]["total_tokens"] == 15


def test_responses_stream_is_numbered_and_ends_with_completed() -> None:
    seen = streamed(Dialect.OPENAI_RESPONSES)
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
    assert (seen[0]["type"], seen[-1]["type"]) == ("response.created", "response.completed")
    assert seen[-1]["response"]["usage"]["input_tokens"] == 12
    assert "".join(event.get("delta", "") for event in seen) == "a:0 a:1 a:2 "


def test_gemini_stream_ends_by_finish_reason_and_can_be_an_array() -> None:
    seen = streamed(Dialect.GEMINI)
    assert seen[-1]["candidates"][0]["finishReason"] == "STOP"
    assert all("usageMetadata" in event for event in seen)
    head, body = answer(steps.ok(), asked("/v1beta/models/m:streamGenerateContent"))
    assert ("content-type", "application/json") in head.headers
    assert len(json.loads(body)) == 4


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v1/messages", lambda body: body["content"][0]["text"]),
        ("/v1/chat/completions", lambda body: body["choices"][0]["message"]["content"]),
        ("/v1/responses", lambda body: body["output"][0]["content"][0]["text"]),
        ("/v1beta/models/m:generateContent", lambda body: body["candidates"][0]["content"]["parts"][0]["text"]),
    ],
)
def test_plain_answers(path: str, text: Any) -> None:
    head, body = answer(steps.ok(text="Hello"), asked(path))
    assert (head.status, head.length) == (200, len(body))
    assert text(json.loads(body)) == "Hello"
    assert len(answer(steps.big_body(5000), asked(path))[1]) == 5000


STATUSES = {  # anthropic, openai (both), gemini
    ErrorKind.RATE_LIMIT: (429, 429, 429),
    ErrorKind.QUOTA: (429, 429, 429),
    ErrorKind.PAYMENT: (402, 402, 402),
    ErrorKind.AUTH: (401, 401, 400),
    ErrorKind.MODEL: (404, 404, 404),
    ErrorKind.OVERLOADED: (529, 503, 503),
    ErrorKind.TOO_LARGE: (413, 413, 413),
}


@pytest.mark.parametrize("dialect", list(VOICES))
@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_error_has_the_providers_shape(dialect: Dialect, kind: ErrorKind) -> None:
    head, body = answer(steps.failing(kind), asked(PATHS[dialect], stream=True))
    error = json.loads(body)["error"]
    assert head.status >= 400 and isinstance(error["message"], str) and head.length == len(body)
    match dialect:
        case Dialect.ANTHROPIC_MESSAGES:
            assert set(json.loads(body)) == {"type", "error", "request_id"} and set(error) == {"type", "message"}
        case Dialect.GEMINI:
            assert error["code"] == head.status and error["status"].isupper()
        case _:
            assert set(error) == {"message", "type", "param", "code"}
    if kind in STATUSES:
        column = {Dialect.ANTHROPIC_MESSAGES: 0, Dialect.GEMINI: 2}.get(dialect, 1)
        assert head.status == STATUSES[kind][column]


def test_stated_waits() -> None:
    head, _ = answer(steps.rate_limited(3, retry_after_ms=2900.5), asked("/v1/messages"))
    assert ("retry-after", "3") in head.headers and ("retry-after-ms", "2900.5") in head.headers
    bare, body = answer(steps.bare_429(), asked("/v1/messages"))
    assert ("x-should-retry", "true") in bare.headers and json.loads(body)["error"]["message"] == "Error"
    assert not [name for name, _ in bare.headers if "ratelimit" in name or name == "retry-after"]
    quota, _ = answer(steps.quota(100), asked("/v1/messages"))
    assert dict(quota.headers)["anthropic-ratelimit-unified-status"] == "rejected"
    assert dict(quota.headers)["anthropic-ratelimit-unified-reset"] == "1000100"
    head, body = answer(steps.quota(100), asked("/backend-api/codex/responses"))
    assert json.loads(body)["error"] | {"message": ""} == {
        "type": "usage_limit_reached",
        "message": "",
        "plan_type": "plus",
        "resets_at": 1_000_100,
        "resets_in_seconds": 100,
    }
    assert dict(head.headers)["x-codex-primary-reset-after-seconds"] == "100"
    head, body = answer(steps.rate_limited(36), asked("/v1beta/models/m:generateContent"))
    details = {detail["@type"].rpartition(".")[2]: detail for detail in json.loads(body)["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"] == "36s"
    assert "PerMinute" in details["QuotaFailure"]["violations"][0]["quotaId"]
    assert "retry-after" not in dict(head.headers)


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 413, 418, 429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("dialect", list(VOICES))
def test_a_status_is_the_status(dialect: Dialect, code: int) -> None:
    head, body = answer(steps.status(code), asked(PATHS[dialect]))
    assert head.status == code and "error" in json.loads(body)
    head, body = answer(steps.status(code, "<html>", [("X-Own", "1")]), asked(PATHS[dialect]))
    assert (head.status, body) == (code, b"<html>") and ("X-Own", "1") in head.headers


@pytest.mark.parametrize("dialect", list(VOICES))
@pytest.mark.parametrize("after", [-1, 0, 1, 3])
def test_error_events_come_where_they_should(dialect: Dialect, after: int) -> None:
    seen = streamed(dialect, steps.error_after(after, ErrorKind.RATE_LIMIT))
    last = seen[-1].get("response", seen[-1])
    assert last.get("error")
    opening = 0 if after < 0 else len(VOICES[dialect].frames(asked(PATHS[dialect]), ("x",)).start)
    assert len(seen) == opening + max(after, 0) + 1


@pytest.mark.parametrize("dialect", list(VOICES))
def test_troubles_of_every_dialect(dialect: Dialect) -> None:
    ask = asked(PATHS[dialect], stream=True)
    whole = answer(steps.ok(), ask)[1]
    endless = answer(steps.no_end_marker(), ask)[1]
    assert whole.startswith(endless) and whole != endless
    cut = list(plan(steps.cut(1), ask))
    assert isinstance(cut[-1], Cut)
    stall = list(plan(steps.stall(0, 9), ask))
    assert stall[-2:] == [Wait(9), cut[-1]]
    broken = answer(steps.malformed(), ask)[1]
    frames = [frame for frame in broken.split(b"\n\n") if b"data: {" in frame]
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        [json.loads(frame.partition(b"data: ")[2]) for frame in frames]
    giant = answer(steps.giant_line(), ask)[1]
    assert max(map(len, giant.split(b"\n"))) > 2_000_000
    trickle = list(itertools.islice(plan(steps.ping_trickle(0.5), ask), 100))
    assert trickle[-2:] in ([Wait(0.5), Data(VOICES[dialect].ping)], [Data(VOICES[dialect].ping), Wait(0.5)])


@pytest.mark.parametrize("trouble", [Trouble.FIN, Trouble.RST, Trouble.STALL, Trouble.MALFORMED, Trouble.NO_END, None])
def test_plans_end(trouble: Trouble | None) -> None:
    for stream in (True, False):
        actions = list(plan(Step(trouble=trouble, after=1), asked("/v1/messages", stream=stream)))
        assert isinstance(actions[-1], End | Cut)


def test_asks_are_read_from_encoded_bodies_and_other_paths() -> None:
    from mitmproxy.net import encoding

    for coding in ("gzip", "zstd", "br", "deflate"):
        body = encoding.encode(b'{"model":"m","stream":true}', coding)
        headers = ((b"Content-Encoding", coding.encode()),)
        ask = read_ask("POST", "/backend-api/codex/responses", headers, body, label="a", number=1, now=time.time())
        assert ask.stream and ask.codex and ask.model == "m"
    assert asked("/api/oauth/usage").kind is AskKind.OTHER
    assert asked("/openai/deployments/d/chat/completions?api-version=1").kind is AskKind.GENERATE
    assert read_ask("POST", "/v1/messages", (), b"no json", label="a", number=1, now=0.0).stream is False
