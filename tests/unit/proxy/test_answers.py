"""Answers of our own (P11): the provider's shape, the true wait, and no client that sleeps for hours."""

from __future__ import annotations

import json
import random

import pytest

from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.dispatch import Dispatch, DispatchPolicy, Stop
from mitm_balancer.core.health import Health
from mitm_balancer.core.priority import Priority, TargetInfo
from mitm_balancer.core.scope import ScopeLearner
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.providers.model import Dialect
from mitm_balancer.proxy import answers

EXTRA = (b"x-balancer", b"request=r; account=none; attempts=2")
NOW = 1000.0


def exhausted_pool(waits: dict[str, float | None]) -> tuple[Dispatch, Stop]:
    """Accounts that cool for so many seconds; None: disabled."""
    health = Health(random.Random(0))
    targets = [TargetInfo(f"p/{name}", "p", enabled=wait is not None) for name, wait in waits.items()]
    dispatch = Dispatch(
        "p", "m", Priority(targets), health, RetryBudget(), ScopeLearner(), DispatchPolicy(hold=0), NOW,
        random.Random(0),
    )  # fmt: skip
    for name, wait in waits.items():
        if wait is not None:
            outcome = Outcome(Verdict.RATE_LIMITED, "rate_limit_error", Scope.ACCOUNT, wait, redispatch=True)
            health.record(f"p/{name}", "m", outcome, NOW)
    stop = dispatch.next(NOW)
    assert isinstance(stop, Stop)
    return dispatch, stop


def headers(own: answers.OwnAnswer) -> dict[str, str]:
    return dict(own.response.headers.items())


@pytest.mark.parametrize("dialect", Dialect)
def test_exhausted_has_the_dialects_shape(dialect: Dialect) -> None:
    """A 429 that an SDK reads as one, and that names every account, why, and until when."""
    dispatch, stop = exhausted_pool({"a": 7200, "b": 90, "c": None})
    own = answers.exhausted(dialect, dispatch, stop, NOW, EXTRA)
    error = json.loads(own.body)["error"]
    assert own.response.status_code == 429
    for part in ("p/a rate_limit_error, back in", "p/b rate_limit_error, back in", "p/c disabled"):
        assert part in error["message"]
    told = headers(own)
    assert told["content-type"] == "application/json"
    assert int(told["content-length"]) == len(own.body)
    assert told["x-balancer"] == EXTRA[1].decode()
    match dialect:
        case Dialect.ANTHROPIC_MESSAGES:
            assert json.loads(own.body)["type"] == "error"
            assert error["type"] == "rate_limit_error"
        case Dialect.GEMINI:
            assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
        case _:
            assert error["code"] == "insufficient_quota"  # long: Codex sleeps through anything else


@pytest.mark.parametrize(
    ("wait", "retry_after", "may_retry"), [(0.2, 1, True), (30.0, 30, True), (55.0, 55, True), (61.0, 61, False)]
)
def test_the_true_wait(wait: float, retry_after: int, may_retry: bool) -> None:
    """Never earlier than the account is back; a long wait forbids the SDK's own sleep."""
    dispatch, stop = exhausted_pool({"a": wait})
    told = headers(answers.exhausted(Dialect.OPENAI_CHAT, dispatch, stop, NOW, EXTRA))
    assert int(told["retry-after"]) >= retry_after
    assert int(told["retry-after"]) >= (stop.wait or 0)
    assert ("x-should-retry" not in told) is may_retry
    if not may_retry:
        assert told["x-should-retry"] == "false"


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("dialect", Dialect)
def test_failed_has_the_dialects_shape(dialect: Dialect, status: int) -> None:
    """And says whose words these are."""
    own = answers.failed(dialect, status, "no \u00e4nswer", EXTRA)
    assert own.response.status_code == status
    assert json.loads(own.body)["error"]["message"] == "mitm-balancer: no \u00e4nswer"
    assert int(headers(own)["content-length"]) == len(own.body)
    assert own.response.stream is True
