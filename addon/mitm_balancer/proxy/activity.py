"""What each account did last, read from the records of requests: for people who look at the status.

Decides nothing. Times are wall-clock seconds; nothing here is secret (the records are not).
"""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mitm_balancer.core.health import Cooldown
from mitm_balancer.core.verdict import Verdict
from mitm_balancer.ops.events import EventType
from mitm_balancer.proxy.runtime import Recorder

RECORDS_KEPT = 200
"""Newest records in memory, for `balancer.why` inside mitmproxy; the store keeps more."""

LONGEST_MESSAGE = 200
"""Characters of an error's text."""


@dataclass(slots=True)
class Doings:
    """Of one account. `failures` are those since it last served."""

    last_used: float | None = None
    failures: int = 0
    served: int = 0
    failed: int = 0
    last_error: dict[str, Any] | None = None
    """{at, verdict, reason, message, status}"""


@dataclass(slots=True)
class Activity:
    """Of all accounts; `served` and `failed` count since the proxy started."""

    clock: Callable[[], float] = time.time
    accounts: dict[str, Doings] = field(default_factory=dict)
    records: OrderedDict[str, Mapping[str, Any]] = field(default_factory=OrderedDict)

    def noted(self, request_id: str, record: Mapping[str, Any]) -> None:
        """A request has ended."""
        for attempt in record.get("attempts") or ():
            self._attempt(attempt)
        self.records[request_id] = record
        while len(self.records) > RECORDS_KEPT:
            self.records.popitem(last=False)

    def record(self, request_id: str) -> Mapping[str, Any] | None:
        """One that is kept; `last` is the newest. The id of its flow, or the beginning of its own, will do."""
        if request_id == "last":
            return next(reversed(self.records.values()), None)
        exact = self.records.get(request_id)
        if exact is not None or not request_id:
            return exact
        newest_first = reversed(self.records.items())
        return next((r for name, r in newest_first if name.startswith(request_id) or r.get("flow") == request_id), None)

    def restore(self, rows: Mapping[str, Any]) -> None:
        """What an earlier process published: last used and last error, not its counts."""
        for name, row in rows.items():
            if not isinstance(row, Mapping):
                continue
            doings = self.accounts.setdefault(name, Doings())
            if isinstance(used := row.get("last_used"), int | float):
                doings.last_used = float(used)
            if isinstance(error := row.get("last_error"), dict):
                doings.last_error = error
            if isinstance(failures := row.get("failures"), int):
                doings.failures = failures

    def last_used(self) -> dict[str, float]:
        """When each account last had an attempt, by name; unix seconds."""
        return {name: doings.last_used for name, doings in self.accounts.items() if doings.last_used is not None}

    def rename(self, old: str, new: str) -> None:
        """The account has another name now."""
        self.forget(new)
        if (doings := self.accounts.pop(old, None)) is not None:
            self.accounts[new] = doings

    def forget(self, name: str) -> None:
        """Another account has that name now, or none."""
        self.accounts.pop(name, None)

    def told(self, name: str) -> dict[str, Any]:
        """For the status: what is known of one account."""
        return dataclasses.asdict(self.accounts[name]) if name in self.accounts else {}

    def _attempt(self, attempt: Mapping[str, Any]) -> None:
        if not attempt.get("verdict"):
            return  # the client left in the middle: it counts for nothing (P6)
        doings = self.accounts.setdefault(str(attempt.get("account")), Doings())
        if attempt.get("verdict") == Verdict.SUCCESS.value:
            doings.last_used, doings.failures = self.clock(), 0
            doings.served += 1
            return
        doings.failed += 1
        doings.failures += 1
        doings.last_error = {
            "at": self.clock(),
            "verdict": attempt.get("verdict"),
            "reason": attempt.get("reason") or "",
            "message": str(attempt.get("message") or "")[:LONGEST_MESSAGE],
            "status": attempt.get("status"),
        }


class Watched:
    """A recorder that tells an Activity of what it records. Implements `runtime.Recorder`."""

    def __init__(self, inner: Recorder, activity: Activity) -> None:
        self.inner, self.activity = inner, activity

    def cooldown(self, cooldown: Cooldown) -> None:
        self.inner.cooldown(cooldown)

    def step(self, type: EventType, at: float, record: Mapping[str, Any], detail: object) -> None:
        if type is EventType.COMPLETED:
            self.activity.noted(record["id"], record)
        self.inner.step(type, at, record, detail)

    def event(
        self, type: EventType, account: str = "", message: str = "", data: Mapping[str, object] | None = None
    ) -> None:
        self.inner.event(type, account, message, data)
