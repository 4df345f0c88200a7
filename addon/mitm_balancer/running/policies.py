"""The contract's `policy`, in the units and shapes that the parts work with: seconds, and 0 is no limit."""

from __future__ import annotations

import dataclasses

from mitm_balancer.config import Config, Policy
from mitm_balancer.core.admission import AdmissionPolicy
from mitm_balancer.core.breaker import BreakerPolicy
from mitm_balancer.core.dispatch import DispatchPolicy
from mitm_balancer.core.strategies import Weights
from mitm_balancer.proxy.runtime import Limits


def dispatch_policy(config: Config) -> DispatchPolicy:
    """The contract's `policy`, in seconds."""
    policy = config.policy
    return DispatchPolicy(
        max_attempts=policy.max_attempts,
        failover_budget=policy.failover_budget,
        deadline=policy.deadline_ms / 1000,
        hold=policy.hold_ms / 1000,
        retry_ambiguous=policy.retry_ambiguous,
        failover=config.balancing,
        backoff_base=policy.backoff.base_ms / 1000,
        backoff_multiplier=policy.backoff.multiplier,
        backoff_max=policy.backoff.max_ms / 1000,
        jitter=policy.backoff.jitter == "full",
    )


def limits(policy: Policy) -> Limits:
    """The contract's time-outs, in seconds; 0 is no limit."""
    return Limits(
        connect=policy.connect_timeout_ms / 1000 or 3600.0,
        first_byte=policy.first_byte_timeout_ms / 1000 or None,
        response=policy.response_timeout_ms / 1000 or None,
        first_token=None if policy.first_token_timeout_ms is None else policy.first_token_timeout_ms / 1000,
        commit_hold=policy.commit_hold_ms / 1000,
        idle=policy.idle_timeout_ms / 1000 or None,
        replay=policy.replay_limit,
        resume=policy.resume,
    )


def breaker_policy(policy: Policy) -> BreakerPolicy:
    """The contract's `circuit_breaker`."""
    breaker = policy.circuit_breaker
    return dataclasses.replace(
        BreakerPolicy(),
        failure_threshold=breaker.failure_threshold,
        half_open_after=breaker.half_open_after_ms / 1000,
        failure_rate_threshold=breaker.failure_rate_threshold,
        sliding_window_size=breaker.sliding_window_size,
        half_open_max_probes=breaker.half_open_max_probes,
        success_threshold=breaker.success_threshold,
    )


def weights(policy: Policy) -> Weights:
    """What the `score` strategy adds up: `routing_weights`."""
    given = policy.routing_weights
    return Weights(given.health, given.latency, given.failure, given.priority, policy.max_expected_latency_ms / 1000)


def admission_policy(policy: Policy) -> AdmissionPolicy:
    """How much runs at once, and how many wait."""
    return AdmissionPolicy(policy.concurrency_limit, policy.queue_limit, policy.backpressure_threshold)
