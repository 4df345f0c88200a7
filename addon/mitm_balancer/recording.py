"""Decisions that survive a restart: cooldowns go to the store and come back from it, traces go there."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mitm_balancer.core.health import Cooldown, Health
from mitm_balancer.core.verdict import Verdict
from mitm_balancer.ops.events import EventType
from mitm_balancer.store import CooldownRow, KnownRows, Store, StoreError, remaining

logger = logging.getLogger(__name__)


def open_store(home: Path) -> Store | None:
    """The store of a home, or None with a loud line: traffic goes on without it (P9)."""
    try:
        return Store.open(home)
    except StoreError as e:
        logger.warning("mitm-balancer: running without a store, cooldowns will not survive a restart: %s", e)
        return None


class StoreRecorder:
    """Decisions go to the store. Its writer thread does the writing; a failing store never fails traffic (P9).

    A redispatch does not wait for its cooldown to be on disk: that would cost milliseconds at each failover, and a kill
    in just that moment costs no more than one refused attempt after the restart.
    """

    def __init__(self, store: Store, known: KnownRows) -> None:
        self.store, self._known = store, known

    def cooldown(self, cooldown: Cooldown) -> None:
        row = stored(cooldown, time.time())
        self._known.note(row)
        self.store.save_cooldown(row)

    def trace(self, request_id: str, record: dict[str, Any]) -> None:
        self.store.add_trace(request_id, record)

    def event(
        self, type: EventType, account: str = "", message: str = "", data: Mapping[str, object] | None = None
    ) -> None:
        self.store.add_event(type, account, message, data)


def stored(cooldown: Cooldown, now: float) -> CooldownRow:
    """The row of a cooldown that begins at the wall-clock time `now`."""
    reason = f"{cooldown.verdict.value}: {cooldown.reason}"
    until = now + cooldown.duration
    return CooldownRow(cooldown.name, cooldown.model, until, now, cooldown.duration, reason, cooldown.strikes)


def restore_cooldowns(health: Health, rows: Iterable[CooldownRow], now: float, clock: float) -> None:
    """Put persisted cooldowns in force. `now` is wall time, `clock` the monotonic time that `health` goes by."""
    for row in rows:
        left = remaining(row, now)
        if left > 0:
            with contextlib.suppress(ValueError):  # a verdict of another version
                health.restore(_restored(row, clock + left))


def _restored(row: CooldownRow, until: float) -> Cooldown:
    word, _, reason = row.reason.partition(": ")
    return Cooldown(row.name, row.model, until, row.duration, reason, Verdict(word), row.strikes)
