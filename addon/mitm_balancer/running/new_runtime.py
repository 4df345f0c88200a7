"""What requests work with, before any configuration is in force."""

from __future__ import annotations

import random
import time

from mitm_balancer.core.admission import Admission
from mitm_balancer.core.changes import Changes
from mitm_balancer.core.health import Health
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy.runtime import Recorder, Runtime
from mitm_balancer.running.circumstances import circumstances, windows_to_evidence
from mitm_balancer.running.remembering import resources, sessions
from mitm_balancer.store import Store
from mitm_balancer.upstream.pool import Pool

JITTER = random.Random()  # noqa: S311  (spreads returns, protects nothing)


def new_runtime(store: Store | None, pool: Pool, recorder: Recorder) -> Runtime:
    """With the sessions and resources that earlier processes knew. Reads the store: blocks."""
    # One journal for all that an order depends on: a decision reads one list of what has changed.
    changes = Changes()
    admission = Admission(changes=changes)
    runtime = Runtime(
        registry=Registry(()),
        pools={},
        health=Health(JITTER, changes=changes),
        around=circumstances(admission),
        admission=admission,
        upstream=pool,
        recorder=recorder,
        warm=pool.warm,
        resources=resources(store, time.time()),
        sessions=sessions(store, time.time(), time.monotonic()),
    )
    runtime.book.listener = windows_to_evidence(runtime)
    return runtime
