"""Short names for the steps that a script is written with. Extra keywords are fields of `Step`.

A script file names them the same way: `{"step": "rate_limited", "retry_after": 3}`.
"""

from __future__ import annotations

from typing import Any

from mitm_balancer.testing.step import (
    AFTER_START,
    BEFORE_START,
    FOREVER,
    Closing,
    CutHow,
    Framing,
    Step,
    Trouble,
)
from mitm_balancer.testing.voices import ErrorKind, Fault
from mitm_balancer.testing.voices.base import KIND_OF_STATUS, seconds_text

GIANT_LINE = 2_000_000


def ok(**fields: Any) -> Step:
    """Whatever the request asks for, well."""
    return _step(fields, name="ok")


def failing(kind: ErrorKind | str, wait: float | None = None, message: str | None = None, **fields: Any) -> Step:
    """An error status of this kind, in the provider's own words."""
    return _step(fields, name=str(kind), bills=False, fault=Fault(ErrorKind(kind), wait, message))


def status(code: int, body: bytes | str | None = None, headers: Any = (), **fields: Any) -> Step:
    """This status; without a body the dialect's usual error for it (429 is a rate limit without a stated wait)."""
    pairs = tuple((name, value) for name, value in headers)
    raw = body.encode() if isinstance(body, str) else body
    kind = KIND_OF_STATUS.get(code, ErrorKind.SERVER if code >= 500 else ErrorKind.INVALID)
    fault = Fault(kind) if code >= 400 else None
    return _step(fields, name=f"status {code}", bills=False, fault=fault, status=code, body=raw, headers=pairs)


def rate_limited(retry_after: float | None = None, retry_after_ms: float | None = None, **fields: Any) -> Step:
    """A 429 with a short window; both pushbacks can be stated, or neither."""
    headers = list(fields.pop("headers", ()))
    if retry_after_ms is not None:
        headers.append(("retry-after-ms", seconds_text(retry_after_ms)))
    return failing(ErrorKind.RATE_LIMIT, retry_after, headers=tuple(headers), **fields)


def bare_429(**fields: Any) -> Step:
    return failing(ErrorKind.BARE_429, **fields)


def quota(wait: float | None = None, **fields: Any) -> Step:
    """The plan is used up for so long; None: what the provider's shortest window would be, or no word of it."""
    return failing(ErrorKind.QUOTA, wait, **fields)


def unauthorized(**fields: Any) -> Step:
    return failing(ErrorKind.AUTH, **fields)


def payment_required(**fields: Any) -> Step:
    return failing(ErrorKind.PAYMENT, **fields)


def forbidden(**fields: Any) -> Step:
    return failing(ErrorKind.PERMISSION, **fields)


def region(**fields: Any) -> Step:
    return failing(ErrorKind.REGION, **fields)


def policy(**fields: Any) -> Step:
    return failing(ErrorKind.POLICY, **fields)


def no_model(**fields: Any) -> Step:
    return failing(ErrorKind.MODEL, **fields)


def invalid(**fields: Any) -> Step:
    return failing(ErrorKind.INVALID, **fields)


def context_too_long(**fields: Any) -> Step:
    return failing(ErrorKind.CONTEXT, **fields)


def too_large(**fields: Any) -> Step:
    return failing(ErrorKind.TOO_LARGE, **fields)


def server_error(code: int = 500, **fields: Any) -> Step:
    """500, 502, 503, 504 or 529 in the dialect."""
    return status(code, **fields)


def overloaded(**fields: Any) -> Step:
    """529 for Anthropic, 503 elsewhere."""
    return failing(ErrorKind.OVERLOADED, **fields)


def reset_before_head(**fields: Any) -> Step:
    """RST after the whole request was read: nobody knows whether it was billed, so it counts as accepted."""
    return _step(fields, name="reset_before_head", cut=CutHow.RST)


def close_before_head(**fields: Any) -> Step:
    return _step(fields, name="close_before_head", cut=CutHow.FIN)


def silence(seconds: float = FOREVER, **fields: Any) -> Step:
    """No head for so long, then a good answer."""
    return _step(fields, name="silence", silence=seconds)


def slow_first_token(seconds: float, **fields: Any) -> Step:
    return _step(fields, name="slow_first_token", head_pause=seconds)


def pings(count: int = 3, gap: float = 0.0, **fields: Any) -> Step:
    """The opening events, then so many pings, then a good answer."""
    return _step(fields, name="pings", pings=count, ping_gap=gap)


def ping_trickle(gap: float = 0.1, **fields: Any) -> Step:
    """The opening events, then pings without end."""
    return pings(int(FOREVER / gap), gap, **({"name": "ping_trickle"} | fields))


def error_first(kind: ErrorKind | str = ErrorKind.OVERLOADED, wait: float | None = None, **fields: Any) -> Step:
    """200, and the first event is an error."""
    return _error_event("error_first", kind, wait, {"after": BEFORE_START, "bills": False} | fields)


def error_after(
    events: int = AFTER_START,
    kind: ErrorKind | str = ErrorKind.OVERLOADED,
    wait: float | None = None,
    **fields: Any,
) -> Step:
    """An error event after the opening events and so many content events; billed once there was content."""
    return _error_event("error_after", kind, wait, {"after": events, "bills": events > 0} | fields)


def cut(after: int = AFTER_START, how: CutHow | str = CutHow.RST, **fields: Any) -> Step:
    """The connection ends after so many content events (0: before any, -1: right after the head)."""
    return _troubled("cut", Trouble(str(how)), {"after": after} | fields)


def stall(after: int = AFTER_START, seconds: float = FOREVER, **fields: Any) -> Step:
    """Silence after so many content events, then a reset."""
    return _troubled("stall", Trouble.STALL, {"after": after, "stall": seconds} | fields)


def malformed(after: int = 1, **fields: Any) -> Step:
    return _troubled("malformed", Trouble.MALFORMED, {"after": after} | fields)


def no_end_marker(**fields: Any) -> Step:
    return _troubled("no_end_marker", Trouble.NO_END, fields)


def giant_line(size: int = GIANT_LINE, **fields: Any) -> Step:
    return _step(fields, name="giant_line", giant=size)


def informational(*codes: int, **fields: Any) -> Step:
    """1xx responses first (100 and 103), then a good answer."""
    return _step(fields, name="informational", info=codes or (100, 103))


def big_body(size: int = 1_500_000, **fields: Any) -> Step:
    return _step(fields, name="big_body", body_bytes=size)


def gzipped(**fields: Any) -> Step:
    return _step(fields, name="gzipped", coding="gzip")


def odd_headers(**fields: Any) -> Step:
    """What parsers trip over: duplicates, odd casing, empty and padded values, a byte above ASCII."""
    pairs = (
        ("Set-Cookie", "a=1; Path=/"),
        ("set-cookie", "b=2; Path=/"),
        ("X-ODD-cAsInG", "kept"),
        ("x-empty", ""),
        ("x-latin", "caf\xe9"),
        ("x-dup", "1"),
        ("x-dup", "2"),
    )
    return _step(fields, name="odd_headers", headers=pairs)


def raw(*parts: bytes, **fields: Any) -> Step:
    """Any bytes instead of an answer."""
    return _step(fields, name="raw", raw=parts)


def closing(how: Closing | str = Closing.ANNOUNCED, **fields: Any) -> Step:
    """A good answer, and the connection is closed after it."""
    return _step(fields, name="closing", closing=Closing(how))


def until_eof(**fields: Any) -> Step:
    """A good answer whose body ends with the connection, as in HTTP/1.0."""
    return _step(fields, name="until_eof", framing=Framing.EOF)


def _error_event(name: str, kind: ErrorKind | str, wait: float | None, fields: dict[str, Any]) -> Step:
    return _troubled(name, Trouble.ERROR, {"trouble_fault": Fault(ErrorKind(kind), wait)} | fields)


def _troubled(name: str, trouble: Trouble, fields: dict[str, Any]) -> Step:
    """There is always an event more than come before the trouble, or it would be no trouble."""
    return _step(fields, name=name, trouble=trouble, events=max(3, int(fields.get("after", 0)) + 1))


def _step(fields: dict[str, Any], **defaults: Any) -> Step:
    return Step(**(defaults | fields))
