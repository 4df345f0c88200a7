"""The schema: what a configuration is once it has been read (DESIGN section 7).

The defaults here are the contract's; `config.example.yaml` shows them and a test keeps the two equal. Fields carry the
check of their value as `metadata["check"]`, so that reading and documenting need no second list of the keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitm_balancer.config.checks import auto_or, boolean, milliseconds, number, one_of, whole
from mitm_balancer.config.nodes import Value
from mitm_balancer.config.observing import Audit, Metrics, Notices
from mitm_balancer.config.sources import CredentialSource
from mitm_balancer.config.urls import BaseUrl
from mitm_balancer.core.matrix import Across
from mitm_balancer.core.matrix import Row as MatrixEntry
from mitm_balancer.core.pins import Pin
from mitm_balancer.providers.model import ErrorRule, Provider
from mitm_balancer.providers.registry import BUILTIN

__all__ = ["MatrixEntry", "Pin"]

VERSION = 1

STRATEGIES = (
    "priority",
    "drain",
    "soonest-reset",
    "headroom",
    "round-robin",
    "weighted",
    "least-loaded",
    "score",
)


def setting(default: Any, check: Callable[[Value], object]) -> Any:
    """A field with its default and the check of its value."""
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True, slots=True)
class Backoff:
    """Between two tries of one account."""

    base_ms: int = setting(250, milliseconds)
    multiplier: float = setting(2, number(1, 100))
    max_ms: int = setting(5000, milliseconds)
    jitter: str = setting("full", one_of("full", "none"))


@dataclass(frozen=True, slots=True)
class RoutingWeights:
    """What the `score` strategy adds up."""

    health: float = setting(1.0, number(0))
    latency: float = setting(0.5, number(0))
    failure: float = setting(0.8, number(0))
    priority: float = setting(0.3, number(0))


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """When repeated faults bench an account, and how it comes back."""

    failure_threshold: int = setting(5, whole(1))
    failure_rate_threshold: float = setting(0.5, number(0, 1))
    sliding_window_size: int = setting(10, whole(1, 10_000))
    half_open_after_ms: int = setting(30_000, milliseconds)
    half_open_max_probes: int = setting(1, whole(1))
    success_threshold: int = setting(2, whole(1))


@dataclass(frozen=True, slots=True)
class Policy:
    """o-switcher's names; `*_ms` are milliseconds, `replay_limit` is bytes."""

    retry_budget: int = setting(3, whole(0))
    failover_budget: int = setting(9, whole(0))
    max_attempts: int = setting(10, whole(1, 100))
    replay_limit: int = setting(32 * 2**20, whole(0))
    backoff: Backoff = Backoff()
    routing_weights: RoutingWeights = RoutingWeights()
    concurrency_limit: int = setting(64, whole(1))
    queue_limit: int = setting(100, whole(0))
    backpressure_threshold: int = setting(50, whole(0))
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    max_expected_latency_ms: int = setting(30_000, whole(1, 2**31 - 1))
    connect_timeout_ms: int = setting(10_000, milliseconds)
    first_byte_timeout_ms: int = setting(120_000, milliseconds)
    response_timeout_ms: int = setting(600_000, milliseconds)
    first_token_timeout_ms: int | None = setting(None, auto_or("auto", milliseconds))
    """None: learnt per model; 0: off."""
    commit_hold_ms: int = setting(30_000, milliseconds)
    idle_timeout_ms: int = setting(300_000, milliseconds)
    deadline_ms: int = setting(900_000, milliseconds)
    hold_ms: int = setting(20_000, milliseconds)
    retry_ambiguous: bool = setting(True, boolean)
    resume: str = setting("error", one_of("error", "replay", "continue"))


@dataclass(frozen=True, slots=True)
class UsagePolls:
    """Asking providers what is left of each account's quota."""

    poll: bool = setting(True, boolean)
    every_s: int = setting(300, whole(60, 86_400))
    """Seconds; providers that limit such questions are asked less often."""


@dataclass(frozen=True, slots=True)
class Priority:
    """Which strategy orders the targets, the providers' order, and what is tied to one account."""

    strategy: str = "priority"
    across: Across = "return"
    providers: tuple[MatrixEntry, ...] = ()
    """One row for each provider."""
    leave_at: float = 95.0
    """Percent used of a quota window from which an account gets no new sessions while another is ready; 0: never."""
    pins: tuple[Pin, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """One declared account."""

    provider: str
    alias: str
    credential: CredentialSource
    base_url: BaseUrl | None = None
    priority: int = 0
    """Lower goes first."""
    weight: float = 1
    models: tuple[str, ...] = ("*",)
    """Globs."""
    concurrency_limit: int = 8
    enabled: bool = True
    policy_tags: tuple[str, ...] = ()
    identity: tuple[tuple[str, str], ...] = ()
    """(word, value): ids that belong to the account and travel beside its credential (`project`, `account_uuid`)."""
    line: int = field(default=0, compare=False)
    """Where the account is declared; 0: nowhere in a file."""

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.alias}"


@dataclass(frozen=True, slots=True)
class UserRule:
    """A row of the user's own error table, for one provider or for all (None)."""

    rule: ErrorRule
    provider: str | None = None

    def concerns(self, provider: str) -> bool:
        return self.provider in (None, provider)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration; `Config()` is what an empty file means."""

    version: int = VERSION
    balancing: bool = True
    accounts: tuple[AccountSpec, ...] = ()
    providers: tuple[Provider, ...] = ()
    """The user's own, and the built-in ones that the file adds hosts to. `all_providers` has every one."""
    rules: tuple[UserRule, ...] = ()
    """Tried before the providers' own error tables."""
    priority: Priority = Priority()
    policy: Policy = Policy()
    usage: UsagePolls = UsagePolls()
    audit: Audit = field(default=Audit())
    metrics: Metrics = field(default=Metrics())
    notices: Notices = field(default=Notices())
    source: Path | None = None

    def all_providers(self) -> tuple[Provider, ...]:
        """For the registry: the user's own first, then the built-in ones as the file changed them; each name once."""
        changed = {provider.name: provider for provider in self.providers}
        builtin = tuple(changed.pop(provider.name, provider) for provider in BUILTIN)
        return (*changed.values(), *builtin)
