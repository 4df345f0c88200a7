"""What counts as an answer of an account, and what is only looked at."""

import json
import random
import time

import pytest

from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.health import BreakerPolicy, Health
from mitm_balancer.core.priority import Priority
from mitm_balancer.core.tail import Tail
from mitm_balancer.providers.codex import PROVIDER as CODEX
from mitm_balancer.providers.model import PathKind
from mitm_balancer.providers.registry import Registry
from mitm_balancer.providers.usage import Usage
from mitm_balancer.proxy import metering
from mitm_balancer.proxy.record import Record
from mitm_balancer.proxy.runtime import Claim, ProviderPool, Runtime
from mitm_balancer.upstream.fake import FakeUpstream
from mitm_balancer.usage.book import Page
from mitm_balancer.usage.gauge import Gauge

ACCOUNT = "codex/work"
RESET = int(time.time()) + 3600
BODY = json.dumps({"usage": {"input_tokens": 7, "output_tokens": 3}}).encode()
LIMITS = {
    "type": "codex.rate_limits",
    "rate_limits": {"primary": {"used_percent": 42, "window_minutes": 300, "reset_at": RESET}},
}


@pytest.fixture
def runtime() -> Runtime:
    health = Health(random.Random(1), BreakerPolicy())
    return Runtime(Registry(()), {}, health, FakeUpstream([]))


def page(runtime: Runtime) -> Page:
    return runtime.book.take()


def answered(
    runtime: Runtime, kind: PathKind = PathKind.INFERENCE, method: str = "POST", tail: Tail | None = None
) -> Record:
    record = Record("r", method, "chatgpt.com", "/backend-api/codex/responses")
    record.facts("codex", kind.value, "gpt-5", False)
    record.committed(ACCOUNT, 200)
    gauge = Gauge(Dialect.OPENAI_RESPONSES, tail, content_type="application/json")
    gauge.feed(BODY)
    pool = ProviderPool(CODEX, {}, Priority([]), RetryBudget())
    metering.answered(runtime, Claim(pool, kind, None), record, gauge)
    return record


def test_an_answer_goes_into_the_trace_and_the_book(runtime: Runtime) -> None:
    record = answered(runtime)

    assert record.data["usage"] == {"input": 7, "output": 3, "cache_read": 0, "cache_write": 0, "reasoning": 0}
    (tally,) = page(runtime).tallies
    assert (tally.account, tally.model, tally.answers, tally.usage) == (ACCOUNT, "gpt-5", 1, Usage(7, 3))


@pytest.mark.parametrize(
    ("kind", "method"), [(PathKind.BOUND, "POST"), (PathKind.CONTROL, "POST"), (PathKind.INFERENCE, "GET")]
)
def test_what_is_only_looked_at_again_does_not_count(runtime: Runtime, kind: PathKind, method: str) -> None:
    """GET /v1/responses/{id} repeats the tokens of the answer that was counted when it was made."""
    assert "usage" not in answered(runtime, kind, method).data
    assert page(runtime) == Page()


def test_a_request_without_a_gauge_does_not_count(runtime: Runtime) -> None:
    pool = ProviderPool(CODEX, {}, Priority([]), RetryBudget())
    record = Record("r", "POST", "chatgpt.com", "/x")  # nobody answered: it names no account
    metering.answered(runtime, Claim(pool, PathKind.INFERENCE, None), record, None)
    assert page(runtime) == Page()


def test_the_limits_frame_of_a_stream_is_read_at_its_end(runtime: Runtime) -> None:
    tail = Tail(Dialect.OPENAI_RESPONSES)
    tail.feed(f"data: {json.dumps(LIMITS)}\n\n".encode())
    answered(runtime, tail=tail)
    found = page(runtime)
    assert [(seen.account, seen.window.name, seen.window.used_percent) for seen in found.windows] == [
        (ACCOUNT, "primary", 42.0)
    ]
    assert [tally.unmetered for tally in found.tallies] == [1]


def test_a_frame_in_a_socket_is_read_at_once_and_once(runtime: Runtime) -> None:
    tail = Tail(Dialect.OPENAI_RESPONSES)

    def frame(payload: object) -> Page:
        tail.frame(json.dumps(payload).encode())
        metering.framed(runtime, ACCOUNT, Dialect.OPENAI_RESPONSES, "", tail)
        return page(runtime)

    (seen,) = frame(LIMITS).windows
    assert (seen.window.minutes, round(seen.reset_at or 0)) == (300, RESET)
    assert frame({"type": "response.output_text.delta", "delta": "hi"}) == Page()
    done = {"type": "response.completed", "response": {"model": "gpt-5", **json.loads(BODY)}}
    for _ in range(2):
        found = frame(done)
        assert [(tally.model, tally.answers, tally.usage) for tally in found.tallies] == [("gpt-5", 1, Usage(7, 3))]
        assert found.windows == ()
