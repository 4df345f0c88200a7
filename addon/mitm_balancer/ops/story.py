"""The trace record of a request, told for people: `balancer why`, and the content view in mitmweb."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def tell(record: Mapping[str, Any]) -> str:
    """A few short lines: what was asked, who was tried and why each failed, who served, what the client got."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"request {record.get('id', '?')}: {record.get('request', '?')}"
    what = [f"provider {record['provider']}"] if record.get("provider") else []
    if record.get("model"):
        what.append(f"model {record['model']}")
    what.append("streamed" if record.get("stream") else "not streamed")
    yield "  " + ", ".join(what)
    for passed in record.get("passed_over", ()):
        back = f", back in {duration(passed['back_in'])}" if "back_in" in passed else ""
        yield f"  passed over {passed['account']}: {passed['reason']}{back}"
    for number, attempt in enumerate(record.get("attempts", ()), start=1):
        yield f"  attempt {number}: {_attempt(attempt)}"
    if record.get("note"):
        yield f"  note: {record['note']}"
    if "account" in record:
        head = f" after {duration(record['head_seconds'])}" if "head_seconds" in record else ""
        yield f"  the client got {record.get('status', '?')} from {record['account']}{head}"
    if "ended" in record:
        size, took = record.get("bytes", 0), duration(record.get("seconds", 0))
        yield f"  ended: {record['ended']}, {size} bytes, {took} in all"


def _attempt(attempt: Mapping[str, Any]) -> str:
    status = f" {attempt['status']}" if attempt.get("status") else ""
    text = f"{attempt['account']} ({attempt.get('because', '')}) ->{status} {attempt['verdict']}"
    if attempt.get("reason"):
        text += f" [{attempt['reason']}]"
    if attempt.get("message"):
        text += f" “{attempt['message']}”"
    if "wait" in attempt:
        text += f", back in {duration(attempt['wait'])}"
    if attempt.get("may_be_billed_twice"):
        text += " (it may have been billed: the whole request had left)"
    return text + f", {duration(attempt.get('seconds', 0))}"


def duration(seconds: float) -> str:
    """`3 ms`, `1.2 s`, `42 s`, `7 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
