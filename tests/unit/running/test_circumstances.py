"""The configuration and the book of usage, as the orders see them."""

from __future__ import annotations

import random
import time

from mitm_balancer.config import AccountSpec, Config, Policy
from mitm_balancer.config.model import CircuitBreaker, RoutingWeights
from mitm_balancer.config.sources import Env
from mitm_balancer.core.admission import Admission, AdmissionPolicy
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.health import Health
from mitm_balancer.core.priority import Priority
from mitm_balancer.core.strategies import Weights
from mitm_balancer.providers.anthropic import PROVIDER
from mitm_balancer.providers.limits import Window
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy.runtime import ProviderPool, Runtime
from mitm_balancer.running.circumstances import circumstances, configure, target, windows_to_evidence
from mitm_balancer.running.policies import breaker_policy
from mitm_balancer.upstream.fake import FakeUpstream

CLOCK = 500.0


def spec(alias: str, **fields: object) -> AccountSpec:
    return AccountSpec("anthropic", alias, Env("X"), **fields)  # type: ignore[arg-type]


def runtime(strategy: str = "headroom") -> Runtime:
    admission = Admission()
    around = circumstances(admission)
    priority = Priority([target(spec(alias), "") for alias in "ab"], strategy, around)
    made = Runtime(
        Registry([PROVIDER]),
        {"anthropic": ProviderPool(PROVIDER, {}, priority, RetryBudget())},
        Health(random.Random(0), changes=admission.changes),
        FakeUpstream(),
        around=around,
        admission=admission,
        clock=lambda: CLOCK,
    )
    made.book.listener = windows_to_evidence(made)
    return made


def chosen(made: Runtime, model: str) -> str:
    found = made.pools["anthropic"].priority.select(model, made.health, CLOCK).chosen
    assert found is not None
    return found.name


def test_what_an_answer_shows_decides_where_the_next_request_goes() -> None:
    """From the book to the order; a model's own window counts for that model."""
    made, now = runtime(), time.time()
    made.book.windows(
        "anthropic/a", [Window("unified-5h", 40.0, wait=900), Window("unified-7d_opus", 95.0, wait=900)], now
    )
    made.book.windows("anthropic/b", [Window("unified-5h", 60.0, wait=900)], now)
    assert chosen(made, "claude-sonnet-4-5") == "anthropic/a"
    assert chosen(made, "claude-opus-4-1") == "anthropic/b"


def test_a_window_is_as_old_as_it_was_seen() -> None:
    """Also one that comes back from the store: its reset is counted from then."""
    made = runtime()
    made.book.windows("anthropic/a", [Window("unified-5h", 90.0, wait=900)], time.time() - 600)
    [reading] = made.around.known.evidence.readings("anthropic/a", CLOCK)
    assert abs(reading.age(CLOCK) - 600) < 5
    assert reading.reset is not None
    assert abs(reading.reset - (CLOCK + 300)) < 5


def test_the_policy_is_in_force() -> None:
    """Limits, weights, the window of the failure rate; again after a reload, and what is known stays."""
    made = runtime()
    made.book.windows("anthropic/a", [Window("unified-5h", 40.0, wait=900)], time.time())
    policy = Policy(
        concurrency_limit=3, queue_limit=2, backpressure_threshold=1, max_expected_latency_ms=5000,
        routing_weights=RoutingWeights(1, 2, 3, 4), circuit_breaker=CircuitBreaker(sliding_window_size=7),
    )  # fmt: skip
    configure(made, Config(accounts=(spec("a", concurrency_limit=1),), policy=policy))
    assert made.admission.policy == AdmissionPolicy(3, 2, 1)
    assert made.admission.take("anthropic/a")
    assert made.admission.at_limit("anthropic/a")
    assert made.around.known.weights == Weights(1, 2, 3, 4, 5.0)
    assert made.around.known.vitals.window == 7
    assert made.around.known.evidence.outlook("anthropic/a", "m", CLOCK).left == 60


def test_the_breakers_parameters() -> None:
    """All six of the contract."""
    found = breaker_policy(Policy(circuit_breaker=CircuitBreaker(3, 0.25, 20, 1500, 2, 4)))
    assert (found.failure_threshold, found.failure_rate_threshold, found.sliding_window_size) == (3, 0.25, 20)
    assert (found.half_open_after, found.half_open_max_probes, found.success_threshold) == (1.5, 2, 4)


def test_a_target_is_what_its_account_says() -> None:
    """Rank, weight and models come from the configuration."""
    made = target(spec("a", priority=3, weight=2.5, models=("x*",), enabled=False), "no key")
    assert (made.name, made.priority, made.weight, made.models, made.enabled, made.usable) == (
        "anthropic/a", 3, 2.5, ("x*",), False, "no key",
    )  # fmt: skip


def test_a_budget_that_refuses_nothing_says_nothing_of_what_is_left() -> None:
    """Anthropic's overage: used up, the plan's own windows still serve."""
    made, now = runtime(), time.time()
    made.book.windows("anthropic/a", [Window("unified-5h", 40.0, wait=90_000), Window("unified-overage", 100.0)], now)
    made.book.windows("anthropic/b", [Window("unified-5h", 80.0, wait=90_000)], now)
    assert chosen(made, "claude-sonnet-4-5") == "anthropic/a"
