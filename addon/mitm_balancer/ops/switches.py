"""When the user's work moves to another account: told once, not for each request that moves.

An account that served is out when a request had to leave it or passed it over; the news is told with the first answer
from another account. When it serves again, the next time is news again. The same for a provider whose accounts are all
out. Used by one thread. Times are wall-clock seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mitm_balancer.core.health import Cooldown
from mitm_balancer.ops import words
from mitm_balancer.ops.events import Event, EventType

MOST_OUT = 10_000
"""Accounts and models whose cooldown is remembered: more than anyone has."""


@dataclass(frozen=True, slots=True)
class _Out:
    until: float
    verdict: str
    reason: str


class Switches:
    """`committed` and `completed` look at a request's record and give what is news."""

    def __init__(self) -> None:
        self._serving: set[str] = set()
        self._told: set[str] = set()
        self._exhausted: set[str] = set()
        self._out: dict[tuple[str, str], _Out] = {}

    def cooled(self, cooldown: Cooldown, at: float) -> None:
        """A cooldown has begun: why an account will be passed over."""
        if len(self._out) >= MOST_OUT:
            self._out.clear()
        key = cooldown.name, cooldown.model
        self._out[key] = _Out(at + cooldown.duration, cooldown.verdict.value, cooldown.reason)

    def committed(self, record: Mapping[str, Any], at: float) -> Iterator[Event]:
        """An account answers (or somebody else does, which is no switch)."""
        account = str(record.get("account") or "")
        if "/" not in account or int(record.get("status") or 0) >= 400:
            return
        self._exhausted.discard(str(record.get("provider")))
        yield from self._left(record, account, at)
        self._serving.add(account)
        self._told.discard(account)

    def completed(self, record: Mapping[str, Any], at: float) -> Iterator[Event]:
        """It found no account that could serve."""
        provider = str(record.get("provider"))
        if not record.get("exhausted") or provider in self._exhausted:
            return
        self._exhausted.add(provider)
        wait = record.get("back_in")
        data = {"request_id": record["id"], "model": record.get("model"), "provider": provider, "wait_s": wait}
        yield Event(EventType.EXHAUSTED, at, provider, words.exhausted(provider, wait), data)

    def _left(self, record: Mapping[str, Any], account: str, at: float) -> Iterator[Event]:
        model = str(record.get("model") or "")
        for name, verdict, reason, wait in self._failing(record, model, at):
            if name == account or name in self._told or name not in self._serving | _tried(record):
                continue
            if name.partition("/")[0] != account.partition("/")[0]:
                continue  # `proxy.switches` tells of a provider that stands in for another
            self._told.add(name)
            self._serving.discard(name)
            data = {
                "request_id": record["id"],
                "model": model,
                "provider": account.partition("/")[0],
                "previous": name,
                "reason": reason,
                "wait_s": None if wait is None else round(wait, 1),
            }
            text = words.switched(name, verdict, reason, wait, account)
            yield Event(EventType.FAILOVER_PERFORMED, at, account, text, data)

    def _failing(
        self, record: Mapping[str, Any], model: str, at: float
    ) -> Iterable[tuple[str, str, str, float | None]]:
        """(account, verdict, reason, seconds) of those that this request left or passed over."""
        for entry in record["attempts"]:
            if entry["verdict"] != "Success":
                out = self._why(entry["account"], model, at)
                wait = entry.get("wait") if out is None else out.until - at
                yield entry["account"], entry["verdict"], entry.get("reason") or entry["verdict"], wait
        for entry in record.get("passed_over") or ():
            out = self._why(entry["account"], model, at)
            verdict = "" if out is None else out.verdict
            yield entry["account"], verdict, entry["reason"], entry.get("back_in")

    def _why(self, account: str, model: str, at: float) -> _Out | None:
        found = (self._out.get((account, model)), self._out.get((account, "")))
        return max((out for out in found if out is not None and out.until > at), key=lambda o: o.until, default=None)


def _tried(record: Mapping[str, Any]) -> set[str]:
    return {entry["account"] for entry in record["attempts"]}
