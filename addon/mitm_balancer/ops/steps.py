"""The steps of one request, as the proxy drops them, and the lines of the audit log that they are.

A step is a tuple that costs the event loop next to nothing: (type, wall-clock seconds, the trace record, detail). The
record is still growing; whoever reads a step later reads only fields that no longer change once the step was taken.
Lines are plain dicts without empty fields, because there are several for each request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mitm_balancer.ops.events import EventType

type Step = tuple[EventType, float, Mapping[str, Any], Any]
"""`detail` by type: ATTEMPT (number, account, because); VERDICT (number, the attempt's entry); else None."""

type Line = dict[str, Any]

_STARTED = ("request", "kind", "stream", "session", "bytes_in")
_VERDICT = {
    "status": "status",
    "verdict": "verdict",
    "reason": "reason",
    "wait": "wait_s",
    "billed": "billed",
    "connect": "connect_s",
    "head": "head_s",
    "first_event": "first_event_s",
    "seconds": "seconds",
}
"""Name in the record -> name in the line."""
_COMPLETED = {
    "status": "status",
    "ended": "ended",
    "seconds": "seconds",
    "queued_seconds": "queued_s",
    "held_seconds": "held_s",
    "bytes_in": "bytes_in",
    "bytes_out": "bytes_out",
    "usage": "tokens",
    "stopped": "stopped",
    "switch": "switch",
    "resumed": "resumed",
    "note": "note",
}
_OTHERS = {"client": "client", "none": "balancer"}
"""Who answers when no account does, by the record's word (`proxy.ends.OWN`, `NOBODY`)."""


def lines(step: Step) -> Iterator[tuple[EventType, Line]]:
    """The lines of one step, without their time and type."""
    kind, _, record, detail = step
    line: Line = {"request_id": record["id"], "provider": record.get("provider", "")}
    if model := record.get("model"):
        line["model"] = model
    if kind is EventType.ATTEMPT:
        number, account, because = detail
        line |= {"account": account, "attempt": number, "because": because}
        if number > 1:
            yield EventType.REDISPATCH, line | {"previous": record["attempts"][number - 2]["account"]}
    elif kind is EventType.VERDICT:
        number, entry = detail
        line |= {"account": entry["account"], "attempt": number}
        _copy(entry, _VERDICT, line)
        if message := entry.get("message"):
            line["message"] = message
    elif kind is EventType.REQUEST_STARTED:
        for name in _STARTED:
            if name in record:
                line[name] = record[name]
    elif kind is EventType.COMMIT:
        _answering(record, line)
        line |= {"status": record["status"], "attempts": detail, "seconds": record["head_seconds"]}
    else:
        _answering(record, line)
        _copy(record, _COMPLETED, line)
        line["attempts"] = len(record["attempts"])
    yield kind, line


def _copy(source: Mapping[str, Any], names: Mapping[str, str], line: Line) -> None:
    for name, shown in names.items():
        value = source.get(name)
        if value is not None and value != "":
            line[shown] = value


def _answering(record: Mapping[str, Any], line: Line) -> None:
    account = record.get("account")
    if account is None:
        return
    if "/" in account:
        line["account"], line["answered_by"] = account, "account"
    else:
        line["answered_by"] = _OTHERS.get(account, account)
