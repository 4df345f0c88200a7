"""What all pools share for their decisions, and how the configuration and the book of usage get into it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from mitm_balancer.config import AccountSpec, Config
from mitm_balancer.core.admission import Admission
from mitm_balancer.core.evidence import Evidence
from mitm_balancer.core.operator import States
from mitm_balancer.core.priority import Circumstances
from mitm_balancer.core.strategies import Known
from mitm_balancer.core.target import TargetInfo
from mitm_balancer.core.vitals import Vitals
from mitm_balancer.providers.limits import is_of_model, is_quiet
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.running.policies import admission_policy, weights
from mitm_balancer.usage.book import SeenWindow


def circumstances(admission: Admission) -> Circumstances:
    """Nothing is known yet. All parts note their changes in the admission's journal."""
    changes = admission.changes
    return Circumstances(Known(Evidence(changes), Vitals(changes=changes), admission), States(changes))


def configure(runtime: Runtime, config: Config) -> None:
    """Put limits, weights and windows in force; what has been learnt stays. Before the pools are made."""
    around, policy = runtime.around, config.policy
    around.known.vitals.window = policy.circuit_breaker.sliding_window_size
    around.known = dataclasses.replace(around.known, weights=weights(policy), leave_at=config.priority.leave_at)
    limits = {spec.name: spec.concurrency_limit for spec in config.accounts}
    runtime.admission.configure(admission_policy(policy), limits)


def target(spec: AccountSpec, unusable: str) -> TargetInfo:
    """The account as the router sees it. `unusable`: why it has no credential to send, or empty."""
    return TargetInfo(spec.name, spec.provider, spec.models, spec.enabled, unusable, spec.priority, spec.weight)


def windows_to_evidence(runtime: Runtime) -> Callable[[SeenWindow], None]:
    """What hears the book: a window that an answer showed is evidence of the account's quota."""

    def heard(seen: SeenWindow) -> None:
        pool = runtime.pools.get(seen.account.partition("/")[0])
        if pool is not None and is_quiet(pool.provider, seen.window.name):
            return

        def of_model(name: str) -> bool:
            return pool is not None and is_of_model(pool.provider, name)

        at = runtime.clock() - max(0.0, time.time() - seen.seen_at)
        runtime.around.known.evidence.stated(seen.account, [seen.window], at, seen.source, of_model)

    return heard
