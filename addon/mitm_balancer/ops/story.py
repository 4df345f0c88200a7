"""The trace record of a request, told for people: `balancer why`, and the content view in mitmweb."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from mitm_balancer.core.durations import countdown
from mitm_balancer.ops.words import plain

SHORT = 0.05
"""Seconds: shorter waits are not worth a line."""

_SERVED_BY = {"client": "the client's own credential", "none": "mitm-balancer itself"}
"""Who else can answer than an account (`proxy.ends.OWN`, `NOBODY`)."""


def story(record: Mapping[str, Any]) -> list[str]:
    """The trace of one request, told in its order. Unknown fields are left out, missing ones too."""
    lines = [*_head(record), *(_passed_over(entry) for entry in record.get("passed_over") or [])]
    attempts = record.get("attempts") or []
    for number, attempt in enumerate(attempts, 1):
        lines += _attempt(number, attempt, again=number < len(attempts))
    if record.get("across"):
        served = f"{record.get('account')} with the model {record.get('model_sent')}"
        lines.append(f"  another provider stood in for {record.get('provider')}: {served}, as the matrix allows")
    lines += _between(record)
    if bound := record.get("bound_to"):
        lines.append(f"  it speaks of something that {bound} made: no other account could serve it")
    if stripped := record.get("stripped"):
        lines.append(f"  sent again without what the provider refused: {stripped}")
    if isinstance(switch := record.get("switch"), Mapping):
        lines.append(_switch(switch))
    return [plain(line) for line in (*lines, *_gone_on(record), *_end(record))]


def _head(record: Mapping[str, Any]) -> list[str]:
    at = datetime.datetime.fromtimestamp(float(record.get("at") or 0)).astimezone()
    facts = [str(record[name]) for name in ("provider", "model") if record.get(name)]
    facts += ["streaming"] if record.get("stream") else []
    facts += [f"session {record['session']}"] if record.get("session") else []
    facts += [f"{size(record['bytes_in'])} sent"] if record.get("bytes_in") else []
    head = f"request {record.get('id')}   {at:%Y-%m-%d %H:%M:%S}   {record.get('request')}"
    return [head, f"  {', '.join(facts)}"] if facts else [head]


def _passed_over(entry: Mapping[str, Any]) -> str:
    back = f", back in {countdown(float(entry['back_in']))}" if entry.get("back_in") else ""
    return f"  passed over {entry.get('account')}: {entry.get('reason')}{back}"


def _attempt(number: int, attempt: Mapping[str, Any], *, again: bool) -> list[str]:
    because = f" ({attempt['because']})" if attempt.get("because") else ""
    outcome = " ".join(str(attempt[name]) for name in ("status", "verdict") if attempt.get(name)) or "no verdict"
    model = f" as {attempt['model']}" if attempt.get("model") else ""
    parts = [f"  {number}. {attempt.get('account')}{model}{because}: {outcome}"]
    parts += [str(attempt["reason"])] if attempt.get("reason") else []
    parts += [f"come back in {countdown(float(attempt['wait']))}"] if attempt.get("wait") else []
    parts += _billed(attempt, again)
    lines = [f"{', '.join(parts)}   {_times(attempt)}"]
    return [*lines, f'     "{attempt["message"]}"'] if attempt.get("message") else lines


def _billed(attempt: Mapping[str, Any], again: bool) -> list[str]:
    if attempt.get("may_be_billed_twice") and again:
        return ["may be billed twice"]
    told = {"no": "not billed", "maybe": "may be billed"}.get(str(attempt.get("billed")))
    return [told] if told else []


def _times(attempt: Mapping[str, Any]) -> str:
    names = (("connect", "connect"), ("head", "head"), ("first_event", "first event"))
    told = [f"{text} {seconds(attempt[name])}" for name, text in names if attempt.get(name) is not None]
    return f"{seconds(attempt.get('seconds') or 0)}{f' ({", ".join(told)})' if told else ''}"


def _between(record: Mapping[str, Any]) -> list[str]:
    queued, held = float(record.get("queued_seconds") or 0), float(record.get("held_seconds") or 0)
    lines = [f"  waited {seconds(queued)} for a free slot"] if queued >= SHORT else []
    return [*lines, f"  waited {seconds(held)} for an account, or between attempts"] if held >= SHORT else lines


def _switch(switch: Mapping[str, Any]) -> str:
    why = f" ({switch['why']})" if switch.get("why") else ""
    tokens = switch.get("cold_tokens")
    cost = f": about {tokens:,} tokens that were cached there had to be read anew" if tokens else ""
    return f"  the session moved from {switch.get('from')} to {switch.get('to')}{why}{cost}"


def _gone_on(record: Mapping[str, Any]) -> Iterator[str]:
    """What became of an answer that broke after its first byte, where `resume` is on."""
    if resumed := record.get("resumed"):
        yield (
            f"  the answer broke after {resumed.get('after')} characters; {resumed.get('account')} went on with it "
            f"({resumed.get('way')}), which may be billed twice"
        )
    if reason := record.get("not_resumed"):
        yield f"  the answer broke and was not gone on with: {reason}"


def _end(record: Mapping[str, Any]) -> list[str]:
    account, ended = str(record.get("account") or ""), str(record.get("ended") or "still running")
    served = f"{_SERVED_BY.get(account, account)} answered {record.get('status')}" if account else "nobody answered"
    whys = dict.fromkeys(str(record[name]) for name in ("stopped", "note") if record.get(name))
    if record.get("in_stream_error"):
        whys[f"the stream told of an error: {record['in_stream_error']}"] = None
    why = f" ({'; '.join(whys)})" if whys else ""
    told = f"{size(record.get('bytes_out') or 0)} in {seconds(record.get('seconds') or 0)}"
    if record.get("head_seconds") is not None:
        told += f", the first byte after {seconds(record['head_seconds'])}"
    lines = [f"  {served}{why}, {ended}: {told}"]
    return [*lines, _tokens(record["usage"])] if isinstance(record.get("usage"), Mapping) else lines


def _tokens(usage: Mapping[str, Any]) -> str:
    def count(name: str) -> int:
        return int(usage.get(name) or 0)

    cached = f" ({count('cache_read'):,} of them from the cache)" if count("cache_read") else ""
    return f"  {count('input'):,} tokens in{cached}, {count('output'):,} out"


def seconds(value: float) -> str:
    """`84 ms`, `1.25 s`."""
    return f"{value * 1000:.0f} ms" if value < 0.1 else f"{value:.2f} s"


def size(count: float) -> str:
    """`812 bytes`, `48 kB`, `2.1 MB`."""
    if count < 1000:
        return f"{int(count)} bytes"
    kilo = count / 1000
    return f"{kilo:.1f} kB" if kilo < 10 else f"{kilo:.0f} kB" if kilo < 1000 else f"{kilo / 1000:.1f} MB"
