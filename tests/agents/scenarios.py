"""What the first account (and, rarely, the second) does, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mitm_balancer.testing import FakeProvider, Step, steps

type Script = Callable[[FakeProvider], None]


def first(*queue: Step, then: Step | None = None) -> Script:
    return lambda fake: fake.play("a", *queue, then=then)


def both(step: Step) -> Script:
    def play(fake: FakeProvider) -> None:
        fake.play("a", then=step)
        fake.play("b", then=step)

    return play


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    script: Script
    served: bool = True
    """The turn must succeed."""
    limit: float = 60.0
    """Seconds, then the agent is killed."""
    kill_on: str | None = None
    """Text in the agent's output at which it is killed."""


SCENARIOS = (
    Scenario("ok", first()),
    Scenario("429-60", first(then=steps.rate_limited(retry_after=60))),
    Scenario("quota-5h", first(then=steps.quota(5 * 3600))),
    Scenario("both-429-60", both(steps.rate_limited(retry_after=60)), served=False, limit=30),
    Scenario("both-quota-5h", both(steps.quota(5 * 3600)), served=False, limit=45),
    Scenario("both-429-3", both(steps.rate_limited(retry_after=3)), served=False, limit=30),
    Scenario("overloaded", first(then=steps.overloaded())),
    Scenario("401", first(then=steps.unauthorized())),
    Scenario("cut-start", first(then=steps.cut(-1))),
    Scenario("cut-opening", first(then=steps.cut(0))),
    Scenario("error-first", first(then=steps.error_first())),
    Scenario("error-first-429", first(then=steps.error_first("rate_limit", 60))),
    Scenario("cut-content", first(steps.cut(2, gap=0.05))),
    Scenario("slow", first(then=steps.ok(gap=0.3, events=10))),
    Scenario("killed", first(then=steps.ok(gap=0.3, events=200)), served=False, kill_on="a:3"),
)

RA60 = ("retry-after", "60")

PROBES = (
    Scenario("p-429-ra60", first(then=steps.status(429, headers=[RA60])), served=False, limit=15),
    Scenario(
        "p-429-ra60-nosr",
        first(then=steps.status(429, headers=[RA60, ("x-should-retry", "false")])),
        served=False,
        limit=15,
    ),
    Scenario("p-429-no-ra", first(then=steps.status(429)), served=False, limit=15),
    Scenario("p-quota", first(then=steps.quota()), served=False, limit=15),
    Scenario("p-quota-ra60", first(then=steps.quota(60)), served=False, limit=15),
    Scenario("p-503-no-ra", first(then=steps.status(503)), served=False, limit=15),
)
"""What an agent does by itself with an answer: run with --direct."""
