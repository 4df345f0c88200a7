"""Every way in which providers write "come back later", turned into seconds from now (wire-facts 16.1).

All functions are total: text that is not understood is None, never an exception. Absolute stamps are measured against
`server_now`, the provider's own clock (its `Date` header), because only the difference of the two is meaningful here.
"""

from __future__ import annotations

import calendar
import math
import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

MAX_WAIT = 31 * 86_400.0
"""Longest wait believed: the longest window of any provider is a month."""

MAX_SKEW = 30 * 86_400.0
"""A `Date` further off than this is a broken header: with a clock so wrong no TLS certificate would be valid."""

# A bare number is a unix time from here on (2001), and unix milliseconds from there on; below it is a delay in seconds.
_EPOCH_SECONDS = 1e9
_EPOCH_MILLIS = 1e11

_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3,
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86_400.0, "day": 86_400.0, "days": 86_400.0, "w": 604_800.0, "week": 604_800.0, "weeks": 604_800.0,
}  # fmt: skip
_NUMBER = r"\d{1,15}(?:\.\d{1,12})?"
_PART = rf"{_NUMBER}\s?(?:{'|'.join(sorted(_UNITS, key=len, reverse=True))})(?![a-z])|{_NUMBER}(?:ns|us|µs|ms|[smhdw])"
_SPAN = rf"(?:{_PART})(?:(?:\s|,|and){{0,4}}(?:{_PART}))*"
_ONE_PART = re.compile(rf"({_NUMBER})\s?([a-zµ]+)", re.IGNORECASE)
_WHOLE_SPAN = re.compile(rf"{_SPAN}\Z", re.IGNORECASE)

# "try again in 1.898s", "retry in X", "retry after 37 seconds", "reset after 156h14m36s", "resets in 51 hours"
_TEXT_SPAN = re.compile(
    rf"(?:try again|retry|reset|resets|wait|available(?: again)?)(?:ing)?\s+(?:in|after|for)?\s*(?:about\s+)?({_SPAN})",
    re.IGNORECASE,
)
_TEXT_STAMP = re.compile(
    r"(?:reset|resets|try again|retry|available(?: again)?)\s+(?:at|on|after)\s+"
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:\s?(?:Z|UTC|[+-]\d\d:?\d\d))?)",
    re.IGNORECASE,
)


def clamp(seconds: float | None) -> float | None:
    """A wait that can be acted on: 0 to `MAX_WAIT`; None for what is no number."""
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_WAIT)


def number(text: str) -> float | None:
    """A finite decimal number, or None."""
    try:
        value = float(text)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def span(text: str) -> float | None:
    """Go durations (`1h2m3.5s`, `120ms`), protobuf ones (`36.1s`), spoken ones (`15hr 51min`); in seconds."""
    text = text.strip()
    if len(text) > 100 or not _WHOLE_SPAN.match(text):
        return None
    return sum(float(count) * _UNITS[unit.lower()] for count, unit in _ONE_PART.findall(text))


def stamp(text: str, *, offset_hours: float = 0.0) -> float | None:
    """RFC 3339 or an HTTP date as unix seconds; a stamp without a zone is read `offset_hours` east of UTC."""
    text = re.sub(r"\s?UTC$", "Z", text.strip(), flags=re.IGNORECASE)
    if not 8 <= len(text) <= 64:
        return None
    try:
        moment = datetime.fromisoformat(text) if text[0].isdigit() else parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone(timedelta(hours=offset_hours)))
        return calendar.timegm(moment.utctimetuple()) + moment.microsecond / 1e6
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def server_clock(date: str | None, now: float) -> float:
    """The provider's clock at this response: its `Date` header, else ours (`now`, unix seconds)."""
    told = stamp(date) if date else None
    return now if told is None or abs(told - now) > MAX_SKEW else told


def wait(value: str, *, server_now: float, offset_hours: float = 0.0) -> float | None:
    """Seconds from now of one reset value in any notation; the magnitude of a bare number tells what it is."""
    value = value.strip()
    seconds = number(value)
    if seconds is None:
        seconds = span(value)
    elif seconds >= _EPOCH_MILLIS:
        seconds = seconds / 1000 - server_now
    elif seconds >= _EPOCH_SECONDS:
        seconds -= server_now
    if seconds is None:
        moment = stamp(value, offset_hours=offset_hours)
        seconds = None if moment is None else moment - server_now
    return clamp(seconds)


def retry_after(headers: dict[str, str], *, server_now: float) -> float | None:
    """`retry-after-ms` before `retry-after` (X4): milliseconds, seconds, or an HTTP date."""
    millis = number(headers.get("retry-after-ms", ""))
    if millis is not None:
        return clamp(millis / 1000)
    return wait(headers["retry-after"], server_now=server_now) if "retry-after" in headers else None


def from_text(text: str, *, server_now: float, offset_hours: float = 0.0) -> float | None:
    """The wait that a message for people names, or None. With several, the longest: coming early costs a refusal."""
    found = [span(match) for match in _TEXT_SPAN.findall(text)]
    for moment in _TEXT_STAMP.findall(text):
        at = stamp(moment, offset_hours=offset_hours)
        found.append(None if at is None else at - server_now)
    return clamp(max((seconds for seconds in found if seconds is not None), default=None))
