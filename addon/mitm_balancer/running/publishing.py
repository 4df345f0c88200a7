"""What only the running proxy knows, left in the store for those who look: `status`, `inspect`, a web page.

One row, `live`, written when something in it has changed, at most once a second; accounts of which nothing is known are
not in it. `since`, `at`, `until` and `last_used` are wall-clock seconds, latencies are seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from mitm_balancer.proxy.activity import Activity
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.store import Store
from mitm_balancer.store.state_keys import LIVE

PUBLISH_EVERY = 1.0
"""Seconds between two writes at least."""

COUNT_SESSIONS_EVERY = 5.0
"""Seconds: a count looks at every binding, which are 20,000 at most."""


class Publisher:
    """Between one runtime and one store."""

    def __init__(self, runtime: Runtime, activity: Activity, store: Store | None) -> None:
        self._runtime, self._activity, self._store = runtime, activity, store
        self._published: dict[str, Any] | None = None
        self._next = 0.0
        self._sessions: Mapping[str, int] = {}
        self._count_at = 0.0

    def publish_if_changed(self, more: Mapping[str, Any]) -> None:
        """Hand it to the store's writer if it differs from what was published. `more` stands beside the accounts."""
        clock = time.monotonic()
        if self._store is None or clock < self._next:
            return
        now = self.now() | dict(more)
        if now != self._published:
            self._next = clock + PUBLISH_EVERY
            self._published = now
            self._store.put_state(LIVE, now | {"pid": os.getpid(), "at": time.time()})

    def now(self) -> dict[str, Any]:
        """Everything, as it is."""
        admission = self._runtime.admission
        return {
            "running": admission.total,
            "waiting": admission.waiting,
            "concurrency_limit": admission.policy.concurrency_limit,
            "queue_limit": admission.policy.queue_limit,
            "sockets": len(self._runtime.sockets),
            "next": self._next_ones(),
            "accounts": self.accounts(),
        }

    def _next_ones(self) -> dict[str, str]:
        """Provider -> the account that a new conversation of its clients goes to now."""
        health, clock = self._runtime.health, self._runtime.clock()
        picks = {name: pool.priority.select("", health, clock).chosen for name, pool in self._runtime.pools.items()}
        return {name: chosen.name for name, chosen in picks.items() if chosen is not None}

    def accounts(self) -> dict[str, dict[str, Any]]:
        """By name."""
        runtime, clock = self._runtime, self._runtime.clock()
        found: dict[str, dict[str, Any]] = {name: self._activity.told(name) for name in self._activity.accounts}
        for name, count in runtime.admission.busy().items():
            found.setdefault(name, {})["in_flight"] = count
        ahead = time.time() - clock
        for name, state, until in runtime.health.open_breakers(clock):
            found.setdefault(name, {}).update(breaker=state, breaker_until=round(until + ahead))
        vitals = runtime.around.known.vitals
        for name, latency in vitals.known():
            found.setdefault(name, {}).update(
                health=round(vitals.health(name, clock), 2),
                failure_rate=round(vitals.failure(name, clock), 2),
                latency={model: round(seconds, 3) for model, seconds in latency.items()},
            )
        for name, count in self._counted(clock).items():
            found.setdefault(name, {})["sessions"] = count
        return found

    def _counted(self, clock: float) -> Mapping[str, int]:
        if clock >= self._count_at:
            self._count_at = clock + COUNT_SESSIONS_EVERY
            self._sessions = self._runtime.sessions.bindings.counts(clock)
        return self._sessions


def restore_activity(activity: Activity, store: Store | None) -> None:
    """What an earlier process published last. Reads the store: blocks."""
    before = store.get_state(LIVE) if store is not None else None
    accounts = (before or {}).get("accounts")
    activity.restore(accounts if isinstance(accounts, dict) else {})
