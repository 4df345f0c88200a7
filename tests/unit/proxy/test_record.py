"""The trace record: steps as they happen, and a whole at the end whatever the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mitm_balancer.core.health import Cooldown
from mitm_balancer.core.verdict import SUCCESS, Outcome, Scope, Sent, Verdict
from mitm_balancer.ops.events import EventType
from mitm_balancer.providers.registry import BUILTIN
from mitm_balancer.proxy.attempt import Result
from mitm_balancer.proxy.record import LONGEST_MODEL, LONGEST_REQUEST, Record
from mitm_balancer.proxy.routes import Route
from mitm_balancer.proxy.runtime import Account

ROUTE = Route(Account("anthropic/work", "work", BUILTIN[0], None), "opus")
LIMITED = Outcome(Verdict.RATE_LIMITED, "rate_limit_error", Scope.ACCOUNT, 60.0, redispatch=True, status=429)


class Heard:
    """A recorder that keeps the steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[EventType, float, object]] = []
        self.whole: Mapping[str, Any] = {}

    def step(self, type: EventType, at: float, record: Mapping[str, Any], detail: object) -> None:
        self.steps.append((type, at, detail))
        self.whole = record

    def cooldown(self, cooldown: Cooldown) -> None: ...

    def event(self, *_: object) -> None: ...

    @property
    def kinds(self) -> list[str]:
        return [kind.value for kind, _, _ in self.steps]


def begun(heard: Heard) -> Record:
    record = Record("aaaabbbbcccc", "POST", "api.anthropic.com", "/v1/messages?key=CANARY", heard)
    record.facts("anthropic", "inference", "opus", True)
    record.begins("9c1f02ab44444444", 12)
    return record


def test_the_steps_of_a_failover_in_their_order() -> None:
    heard = Heard()
    record = begun(heard)
    for outcome in (LIMITED, SUCCESS):
        record.tries("anthropic/work", "first")
        record.attempt(ROUTE, "first", Result(outcome, None, 0.5, 0.1, 0.3, 0.2))
    record.committed("anthropic/work", 200)
    record.finish("complete", 99)
    record.keep()

    assert heard.kinds == [
        "request_started", "attempt", "verdict", "attempt", "verdict", "commit", "completed",
    ]  # fmt: skip
    assert [at for _, at, _ in heard.steps] == sorted(at for _, at, _ in heard.steps)
    limited, served = heard.whole["attempts"]
    assert (limited["verdict"], limited["billed"], limited["wait"], limited["status"]) == (
        "RateLimited",
        "no",
        60.0,
        429,
    )
    assert (served["billed"], served["connect"], served["head"], served["first_event"]) == ("yes", 0.2, 0.3, 0.1)
    assert (heard.whole["session"], heard.whole["bytes_in"], heard.whole["bytes_out"]) == ("9c1f02ab", 12, 99)
    assert "CANARY" not in str(heard.whole)


def test_an_attempt_that_the_client_did_not_wait_for_is_there() -> None:
    heard = Heard()
    record = begun(heard)
    record.tries("anthropic/work", "stays")
    record.finish("cancelled by the client", 0)
    record.keep()

    (entry,) = heard.whole["attempts"]
    assert (entry["account"], entry["verdict"], entry["billed"]) == ("anthropic/work", "", "maybe")
    assert heard.kinds == ["request_started", "attempt", "completed"]


def test_a_request_that_ends_before_it_began_is_told_in_order() -> None:
    heard = Heard()
    record = Record("aaaabbbbcccc", "GET", "h", "/", heard)
    record.finish("internal error", 0)
    record.keep()

    assert heard.kinds == ["request_started", "completed"]


@pytest.mark.parametrize(
    ("sent", "billed"), [(Sent.NOTHING, "no"), (Sent.PARTIAL, "no"), (Sent.ALL, "maybe")], ids=lambda value: str(value)
)
def test_what_may_be_billed(sent: Sent, billed: str) -> None:
    heard = Heard()
    record = begun(heard)
    record.attempt(ROUTE, "first", Result(Outcome(Verdict.TRANSPORT_FAILURE, "head", sent=sent), None, 0.5))

    assert record.attempts[0]["billed"] == billed
    assert ("may_be_billed_twice" in record.attempts[0]) is (billed == "maybe")


def test_what_a_client_sends_is_bounded() -> None:
    record = Record("aaaabbbbcccc", "GET", "h", "/" + "x" * 10_000)
    record.facts("anthropic", "inference", "m" * 10_000, False)

    assert len(record.data["request"]) == LONGEST_REQUEST
    assert len(record.data["model"]) == LONGEST_MODEL


def test_pauses_add_up() -> None:
    record = begun(Heard())
    for seconds in (0.25, 0.5):
        record.paused(seconds)

    assert record.data["held_seconds"] == 0.75
