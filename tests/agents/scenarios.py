"""What the first account (or both) does, and what must come of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from mitm_balancer.testing import FakeProvider, Step, steps
from mitm_balancer.testing.voices import ErrorKind, Fault

type Script = Callable[[FakeProvider], None]


def first(*queue: Step, then: Step | None = None) -> Script:
    return lambda fake: fake.play("a", *queue, then=then)


def both(*queue: Step, then: Step | None = None) -> Script:
    def play(fake: FakeProvider) -> None:
        fake.play("a", *queue, then=then)
        fake.play("b", *queue, then=then)

    return play


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    script: Script
    served: bool = True
    """The turn must succeed; else it must end by itself, with an error."""
    attempts: int = 2
    """The most turns that the provider may see."""
    limit: float = 60.0
    """Seconds, then the agent is killed."""
    killed: bool = False
    """It is killed a second into its answer; the provider must see it leave."""


WINDOW = 5 * 3600.0

SCENARIOS = (
    Scenario("ok", first(), attempts=1),
    Scenario("429-60", first(then=steps.rate_limited(retry_after=60))),
    Scenario("quota-5h", first(then=steps.quota(WINDOW))),
    Scenario("both-429-3", both(steps.rate_limited(retry_after=3)), attempts=3),
    Scenario("both-429-30", both(steps.rate_limited(retry_after=30)), attempts=3),
    Scenario("both-429-120", both(then=steps.rate_limited(retry_after=120)), served=False, limit=30),
    Scenario("both-quota-5h", both(then=steps.quota(WINDOW)), served=False, limit=30),
    Scenario("overloaded", first(then=steps.overloaded()), attempts=3),
    Scenario("401", first(then=steps.unauthorized())),
    Scenario("cut-start", first(then=steps.cut(-1))),
    Scenario("cut-opening", first(then=steps.cut(0))),
    Scenario("cut-content", first(steps.cut(2, gap=0.05))),
    Scenario("error-first", first(then=steps.error_first()), attempts=3),
    Scenario("error-first-429", first(then=steps.error_first("rate_limit", 60))),
    Scenario("error-first-quota", first(then=steps.error_first("quota", WINDOW))),
    Scenario("both-error-429", both(then=steps.error_first("rate_limit", 120)), served=False, limit=30),
    Scenario("both-error-quota", both(then=steps.error_first("quota", WINDOW)), served=False, limit=30),
    Scenario("slow", first(then=steps.ok(gap=0.3, events=10)), attempts=1),
    Scenario("killed", first(then=steps.ok(gap=0.3, events=200)), served=False, attempts=1, limit=20, killed=True),
)
"""`error-first` and its kin are a frame inside the socket where the agent speaks WebSocket, else the first event."""

RA60 = ("retry-after", "60")

LOST = Fault(ErrorKind.SERVER, None, "the provider's answer broke off: connection lost")
CLOSED = Fault(ErrorKind.SERVER, None, "the provider's answer broke off: the provider closed the connection")
DETAILS = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "18000s"}]
GOOGLE = {"error": {"code": 429, "message": "every account is out", "status": "RESOURCE_EXHAUSTED", "details": DETAILS}}

PROBES = (
    Scenario("p-429-ra60", first(then=steps.status(429, headers=[RA60])), limit=15),
    Scenario("p-429-ra60-nosr", first(then=steps.status(429, headers=[RA60, ("x-should-retry", "false")])), limit=15),
    Scenario("p-429-no-ra", first(then=steps.status(429)), limit=15),
    Scenario("p-quota", first(then=steps.quota()), limit=15),
    Scenario("p-quota-ra60", first(then=steps.quota(60)), limit=15),
    Scenario("p-cut", first(steps.cut(2, gap=0.05)), limit=30),
    Scenario("p-error-event", first(steps.error_after(2, "server", gap=0.05)), limit=30),
    Scenario("p-lost-event", first(steps.error_after(2, "server", gap=0.05, trouble_fault=LOST)), limit=30),
    Scenario("p-closed-event", first(steps.error_after(2, "server", gap=0.05, trouble_fault=CLOSED)), limit=30),
    Scenario("p-overloaded-event", first(steps.error_after(2, "overloaded", gap=0.05)), limit=30),
    Scenario("p-google-retry-info", first(then=steps.status(429, json.dumps(GOOGLE))), limit=15),
    Scenario("p-503-no-ra", first(then=steps.status(503)), limit=15),
)
"""What an agent does by itself with an answer: run with --direct; nothing is expected."""
