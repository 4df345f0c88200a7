"""The steps of one request, as the proxy drops them, and the events that they are.

A step is a tuple that costs the event loop next to nothing: (type, wall-clock seconds, the trace record, detail). The
record is still growing; whoever reads a step later reads only fields that no longer change once the step was taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mitm_balancer.ops.events import Event, EventType

type Step = tuple[EventType, float, Mapping[str, Any], Any]
"""`detail` by type: ATTEMPT (number, account, because); VERDICT (number, the attempt's entry); else None."""


def events(step: Step) -> Iterator[Event]:
    """The lines of one step."""
    kind, at, record, detail = step
    common = {name: record.get(name) for name in ("provider", "model")} | {"request_id": record["id"]}
    match kind:
        case EventType.ATTEMPT:
            number, account, because = detail
            if number > 1:
                previous = record["attempts"][number - 2]["account"]
                again = {"attempt": number, "previous": previous, "because": because}
                yield Event(EventType.REDISPATCH, at, account, data=common | again)
            yield Event(kind, at, account, data=common | {"attempt": number, "because": because})
        case EventType.VERDICT:
            number, entry = detail
            yield Event(kind, at, entry["account"], entry.get("message", ""), common | _verdict(number, entry))
        case EventType.REQUEST_STARTED:
            names = ("request", "kind", "stream", "session", "bytes_in")
            yield Event(kind, at, data=common | {name: record.get(name) for name in names})
        case EventType.COMMIT:
            account, told = _answering(record)
            told |= {"status": record["status"], "attempts": detail, "seconds": record["head_seconds"]}
            yield Event(kind, at, account, data=common | told)
        case _:
            account, told = _answering(record)
            yield Event(EventType.COMPLETED, at, account, data=common | told | _completed(record))


_OTHERS = {"client": "client", "none": "balancer"}
"""Who answers when no account does, by the record's word (`proxy.ends.OWN`, `NOBODY`)."""


def _answering(record: Mapping[str, Any]) -> tuple[str, dict[str, object]]:
    """The account that answers, and the field that says whether it is one."""
    account = str(record.get("account") or "")
    by = "account" if "/" in account else _OTHERS.get(account)
    return (account if by == "account" else ""), {"answered_by": by}


def _verdict(number: int, entry: Mapping[str, Any]) -> dict[str, object]:
    return {
        "attempt": number,
        "status": entry.get("status"),
        "verdict": entry["verdict"],
        "reason": entry.get("reason") or None,
        "wait_s": entry.get("wait"),
        "billed": entry["billed"],
        "connect_s": entry.get("connect"),
        "head_s": entry.get("head"),
        "first_event_s": entry.get("first_event"),
        "seconds": entry["seconds"],
    }


def _completed(record: Mapping[str, Any]) -> dict[str, object]:
    return {
        "status": record.get("status"),
        "ended": record["ended"],
        "attempts": len(record["attempts"]),
        "seconds": record["seconds"],
        "queued_s": record.get("queued_seconds"),
        "held_s": record.get("held_seconds"),
        "bytes_in": record.get("bytes_in"),
        "bytes_out": record["bytes_out"],
        "tokens": record.get("usage"),
        "stopped": record.get("stopped"),
        "note": record.get("note"),
    }
