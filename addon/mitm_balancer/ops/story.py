"""The trace record of a request, told for people: `balancer why`, and the content view in mitmweb."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from mitm_balancer.core.durations import countdown


def story(record: Mapping[str, Any]) -> list[str]:
    """The trace of one request, told in its order. Unknown fields are left out, missing ones too."""
    at = datetime.datetime.fromtimestamp(float(record.get("at") or 0)).astimezone()
    facts = [str(record[name]) for name in ("provider", "model") if record.get(name)]
    facts += ["streaming"] if record.get("stream") else []
    lines = [f"request {record.get('id')}   {at:%Y-%m-%d %H:%M:%S}   {record.get('request')}   {', '.join(facts)}"]
    lines += [_attempt(number, attempt) for number, attempt in enumerate(record.get("attempts") or [], 1)]
    lines += [_passed_over(entry) for entry in record.get("passed_over") or []]
    if record.get("across"):
        served = f"{record.get('account')} with the model {record.get('model_sent')}"
        lines.append(f"  another provider stood in for {record.get('provider')}: {served}, as the matrix allows")
    if bound := record.get("bound_to"):
        lines.append(f"  it speaks of something that {bound} made: no other account could serve it")
    if stripped := record.get("stripped"):
        lines.append(f"  sent again without what the provider refused: {stripped}")
    lines.append(_end(record))
    return lines


def _attempt(number: int, attempt: Mapping[str, Any]) -> str:
    status = f" {attempt['status']}" if attempt.get("status") else ""
    because = f" ({attempt['because']})" if attempt.get("because") else ""
    told = ": ".join(str(attempt[name]) for name in ("reason", "message") if attempt.get(name))
    model = f" as {attempt['model']}" if attempt.get("model") else ""
    parts = [f"  {number}. {attempt.get('account')}{model}{because}:{status} {attempt.get('verdict')}"]
    parts += [told] if told else []
    parts += [f"come back in {countdown(float(attempt['wait']))}"] if attempt.get("wait") else []
    parts += ["may be billed twice"] if attempt.get("may_be_billed_twice") else []
    return f"{', '.join(parts)}   {float(attempt.get('seconds') or 0):.2f} s"


def _passed_over(entry: Mapping[str, Any]) -> str:
    back = f", back in {countdown(float(entry['back_in']))}" if entry.get("back_in") else ""
    return f"  passed over {entry.get('account')}: {entry.get('reason')}{back}"


def _end(record: Mapping[str, Any]) -> str:
    served = f"{record['account']} answered {record.get('status')}" if record.get("account") else "nobody answered"
    parts = [served, str(record.get("ended") or "still running"), str(record.get("note") or "")]
    size = f"{record.get('bytes', 0)} bytes in {float(record.get('seconds') or 0):.2f} s"
    return "  " + ", ".join(part for part in [*parts, size] if part)
