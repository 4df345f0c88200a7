"""Where decisions go: cooldowns and traces to the store, events to whoever is to hear of them.

A cooldown is handed to the store at once (P8). All else is dropped on a desk, and a thread of its own writes the trace
and the audit log, counts the metrics and sends the notices: the event loop pays for an append.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitm_balancer.core.health import NOT_RENEWED, Cooldown, Health
from mitm_balancer.core.verdict import Verdict
from mitm_balancer.ops import steps, words
from mitm_balancer.ops.audit import AuditLog
from mitm_balancer.ops.desk import Desk
from mitm_balancer.ops.events import Event, EventType
from mitm_balancer.ops.notices import Notices
from mitm_balancer.ops.switches import Switches
from mitm_balancer.store import CooldownRow, EventRow, KnownRows, Store, StoreError, remaining

if TYPE_CHECKING:
    from mitm_balancer.ops.metrics import Metrics  # prometheus_client is imported where it is wanted

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 2.0

REAUTH_AGAIN = 60.0
"""Seconds in which one account's need of a new login is told once, whoever notices it."""

FROM_PROXY = "proxy"
"""`EventRow.origin` of what a running proxy has told itself."""


def open_store(home: Path) -> Store | None:
    """The store of a home, or None with a loud line: traffic goes on without it (P9)."""
    try:
        return Store.open(home)
    except StoreError as e:
        logger.warning("mitm-balancer: running without a store, cooldowns will not survive a restart: %s", e)
        return None


@dataclass(slots=True)
class Listeners:
    """Who hears of events, besides the store. Replaced as a whole when the configuration changes."""

    audit: AuditLog | None = None
    metrics: Metrics | None = None
    notices: Notices | None = None

    def close(self) -> None:
        """Nothing comes any more. In the thread of the desk, or after its end."""
        if self.audit is not None:
            self.audit.close()
        if self.notices is not None:
            self.notices.close()


@dataclass(frozen=True, slots=True)
class _Cooled:
    cooldown: Cooldown
    at: float


@dataclass(frozen=True, slots=True)
class _Stored:
    """An event that another process has left in the store."""

    event: Event


type _Item = steps.Step | Event | _Cooled | _Stored | Listeners


@dataclass(slots=True)
class Recording:
    """Implements `proxy.runtime.Recorder`. Every method returns at once and never raises."""

    store: Store | None
    known: KnownRows
    on_cooldown: Callable[[Cooldown], None] = lambda _: None
    """Hears of each on the event loop, at once."""
    _listeners: Listeners = field(default_factory=Listeners)
    _switches: Switches = field(default_factory=Switches)
    _reauth: dict[str, float] = field(default_factory=dict)
    _told_dropped: int = 0
    _desk: Desk[_Item] = field(init=False)

    def __post_init__(self) -> None:
        self._desk = Desk(self._take, self._rest)
        self._desk.start()

    # -- Recorder: called on the event loop -----------------------------------------------------------------------

    def cooldown(self, cooldown: Cooldown) -> None:
        """A redispatch does not wait for its cooldown to be on disk: that would cost milliseconds at each failover, and
        a kill in just that moment costs no more than one refused attempt after the restart."""
        now = time.time()
        if self.store is not None:
            row = stored(cooldown, now)
            self.known.note(row)
            self.store.save_cooldown(row)
        self.on_cooldown(cooldown)
        self._desk.put(_Cooled(cooldown, now))

    def step(self, type: EventType, at: float, record: Mapping[str, Any], detail: object) -> None:
        self._desk.put((type, at, record, detail))

    def event(
        self, type: EventType, account: str = "", message: str = "", data: Mapping[str, object] | None = None
    ) -> None:
        self._desk.put(Event(type, time.time(), account, message, dict(data or {})))

    # -- and besides ----------------------------------------------------------------------------------------------

    def listen(self, listeners: Listeners) -> None:
        """Tell these from now on; the ones before are closed."""
        self._desk.put(listeners)

    def heard(self, row: EventRow) -> None:
        """An event that the CLI has left in the store: it is told, but not stored again."""
        self._desk.put(_Stored(Event(row.type, row.at, row.account, row.message, row.data)))

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the telling, for the status."""
        audit, notices = self._listeners.audit, self._listeners.notices
        found = (audit.problem if audit else None, notices.problem if notices else None)
        return tuple(problem for problem in found if problem)

    @property
    def lost(self) -> int:
        """Items and lines that nobody will read."""
        return self._desk.dropped + (self._listeners.audit.lost if self._listeners.audit else 0)

    def close(self) -> None:
        """Tell what waits, at most two seconds. Before the store is closed."""
        left = self._desk.close(CLOSE_TIMEOUT)
        if left:
            logger.warning("mitm-balancer: %d items of the audit log are lost", left)
        else:
            self._listeners.close()

    # -- in the desk's thread -------------------------------------------------------------------------------------

    def _take(self, item: _Item) -> None:
        match item:
            case tuple():
                self._step(item)
            case Event():
                self._tell(item)
            case _Cooled():
                for event in self._cooled(item):
                    self._tell(event)
            case _Stored():
                self._pass(item.event)
            case Listeners():
                self._listeners.close()
                self._listeners = item

    def _step(self, step: steps.Step) -> None:
        kind, at, record, _ = step
        listeners = self._listeners
        if kind is EventType.COMPLETED and self.store is not None:
            self.store.add_trace(record["id"], record)
        if listeners.audit is not None:
            for name, line in steps.lines(step):
                listeners.audit.put(name, at, line)
        if listeners.metrics is not None:
            listeners.metrics.step(step)
        if kind is EventType.COMMIT:
            news = self._switches.committed(record, at)
        elif kind is EventType.COMPLETED:
            news = self._switches.completed(record, at)
        else:
            return
        for event in news:
            self._tell(event)

    def _cooled(self, item: _Cooled) -> Iterator[Event]:
        cooldown, at = item.cooldown, item.at
        self._switches.cooled(cooldown, at)
        verdict = cooldown.verdict
        data: dict[str, object] = {"verdict": verdict.value, "reason": cooldown.reason}
        data["wait_s"] = round(cooldown.duration, 1)
        if cooldown.model:
            data["model"] = cooldown.model
        about = cooldown.name, cooldown.model, verdict.value, cooldown.duration
        if verdict in (Verdict.RATE_LIMITED, Verdict.QUOTA_EXHAUSTED):
            yield Event(EventType.RATE_LIMIT_DETECTED, at, cooldown.name, words.limited(*about), data)
        text = words.rests(*about)
        yield Event(EventType.COOLDOWN_STARTED, at, cooldown.name, text, data)
        if verdict is Verdict.AUTH_FAILURE and cooldown.reason != NOT_RENEWED:
            yield Event(EventType.REAUTH_REQUIRED, at, cooldown.name, f"{cooldown.name} {words.state(verdict)}")

    def _tell(self, event: Event) -> None:
        """To everybody, the store among them."""
        if event.type == EventType.REAUTH_REQUIRED and self._told_lately(event):
            return
        if self.store is not None:
            self.store.add_event(event.type, event.account, event.message, event.data, origin=FROM_PROXY, at=event.at)
        self._pass(event)

    def _pass(self, event: Event) -> None:
        listeners = self._listeners
        if listeners.audit is not None:
            listeners.audit.add(event)
        if listeners.metrics is not None:
            listeners.metrics.event(event)
        if listeners.notices is not None:
            listeners.notices.take(event)

    def _told_lately(self, event: Event) -> bool:
        before = self._reauth.get(event.account)
        self._reauth[event.account] = event.at
        return before is not None and 0 <= event.at - before < REAUTH_AGAIN

    def _rest(self) -> None:
        dropped = self._desk.dropped
        if dropped > self._told_dropped:
            news, self._told_dropped = dropped - self._told_dropped, dropped
            logger.warning("mitm-balancer: the audit log is too slow: %d items were dropped", news)
            self._tell(Event(EventType.AUDIT_DROPPED, time.time(), data={"dropped": news}))
        if self._listeners.audit is not None:
            self._listeners.audit.flush()


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
