"""From a provider's answer to an `Outcome`: the first error row that fits, and the pushback that belongs to it.

Total: any bytes give an Outcome. No decision stands here: the rows are in the providers' files and in `common_errors`;
here is only how a row is matched and where a wait is looked for.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mitm_balancer.core import decoding, resets
from mitm_balancer.core.meaning import says_error
from mitm_balancer.core.verdict import Outcome, Scope, Verdict
from mitm_balancer.providers import answer as answers
from mitm_balancer.providers import limits
from mitm_balancer.providers.answer import Answer
from mitm_balancer.providers.common_errors import CODES, STATUS_OF_CODE, STATUSES
from mitm_balancer.providers.limits import Window
from mitm_balancer.providers.masking import mask
from mitm_balancer.providers.model import ErrorRule, Provider

type Headers = Sequence[tuple[bytes, bytes]]

MESSAGE_CHARS = 300

OVERLOAD_WAIT = 300.0
"""Seconds: an overload's pushback is believed up to here (X9; gemini-cli too calls longer ones final)."""

_REDISPATCHED = frozenset(
    {
        Verdict.RATE_LIMITED,
        Verdict.QUOTA_EXHAUSTED,
        Verdict.AUTH_FAILURE,
        Verdict.MODEL_UNAVAILABLE,
        Verdict.TRANSIENT_SERVER_FAILURE,
    }
)
_SCOPES = {
    Verdict.RATE_LIMITED: Scope.ACCOUNT,
    Verdict.QUOTA_EXHAUSTED: Scope.ACCOUNT,
    Verdict.AUTH_FAILURE: Scope.ACCOUNT,
    Verdict.REGION_RESTRICTION: Scope.ACCOUNT,
    Verdict.MODEL_UNAVAILABLE: Scope.MODEL,
    Verdict.TRANSIENT_SERVER_FAILURE: Scope.ACCOUNT,
}
_WAITING = frozenset({Verdict.RATE_LIMITED, Verdict.QUOTA_EXHAUSTED, Verdict.TRANSIENT_SERVER_FAILURE})


@dataclass(frozen=True, slots=True)
class _Case:
    """All that a row can ask about."""

    provider: Provider
    answer: Answer
    windows: tuple[Window, ...]
    used_up: tuple[Window, ...]


def classify(
    provider: Provider, status: int, headers: Headers, body: bytes, *, now: float, model: str | None = None
) -> Outcome:
    """What a complete answer means. `body` is as it came (content-encoded or not); `now` is unix seconds.

    Below 400 it is a success: `classify_success_body` looks into a 200. `model` is what the request asked for.
    """
    if status < 400:
        return Outcome(Verdict.SUCCESS, status=status)
    return _judge(provider, answers.read(status, headers, body, now=now), model)


def classify_event(
    provider: Provider,
    payload: bytes,
    *,
    headers: Headers = (),
    now: float,
    model: str | None = None,
    status: int = 200,
) -> Outcome:
    """What an error inside a stream or a socket means: `payload` is the JSON of its event or frame, already decoded.

    `headers` are those of the response that carried it; a frame's own `headers` object comes before them. `status` is
    the carrying response's: unless that is an error, the one which the error would have had as a response is found.
    """
    plain = tuple((name, value) for name, value in headers if name.lower() != b"content-encoding")
    data = answers.load(payload.decode("utf-8", "replace"))
    answer = answers.read(status, (*_frame_headers(data), *plain), payload, now=now)
    meant = status if status >= 400 else _implied_status(answer.codes)
    return _judge(provider, answers.restated(answer, meant), model)


def classify_success_body(
    provider: Provider, headers: Headers, body: bytes, *, now: float, model: str | None = None
) -> Outcome:
    """What a small complete JSON body of a 200 means: some providers put errors there (MiniMax, OpenRouter)."""
    success = Outcome(Verdict.SUCCESS, status=200)
    encoding = answers.header_map(headers).get("content-encoding", "")
    text = decoding.decode(body, encoding, limit=answers.MAX_BODY)
    data = answers.load(text.decode("utf-8", "replace"))
    error = error_part(data)
    if error is None:
        return success
    return classify_event(provider, answers.dump(error), headers=headers, now=now, model=model)


def error_part(data: Any) -> Any:
    """The part of a 200's JSON value that says it failed, or None: what a success carries beside it is left out."""
    if isinstance(data, list):
        return next((part for item in data[:32] if (part := error_part(item)) is not None), None)
    if not isinstance(data, dict):
        return None
    if not says_error(data):
        return None
    said = {key: value for key, value in data.items() if key not in _OUTPUT_KEYS}
    return {"base_resp": said["base_resp"]} if not said.get("error") and "base_resp" in said else said


_OUTPUT_KEYS = frozenset({"choices", "output", "candidates", "content", "usage", "data"})


def _judge(provider: Provider, answer: Answer, model: str | None) -> Outcome:
    found = limits.windows(provider, answer.headers, server_now=answer.server_now)
    case = _Case(provider, answer, found, limits.exhausted(provider, found))
    rule = next(rule for rule in _rows(provider) if _fits(rule, case))
    return Outcome(
        verdict=rule.verdict,
        reason=rule.reason or _code(rule, answer),
        scope=_scope(rule, case, model),
        wait=_pushback(rule, case),
        redispatch=rule.verdict in _REDISPATCHED if rule.redispatch is None else rule.redispatch,
        capacity=rule.capacity,
        message=mask(" ".join(answer.message.split()))[:MESSAGE_CHARS],
        status=answer.status,
    )


# The row for what no row fits: a status outside 400 to 599.
_LAST = ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "unknown_error")


def _rows(provider: Provider) -> Iterable[ErrorRule]:
    yield from provider.errors
    yield from CODES
    yield from STATUSES
    yield _LAST


def _fits(rule: ErrorRule, case: _Case) -> bool:
    answer = case.answer
    if rule.status and answer.status not in rule.status:
        return False
    if rule.codes and not any(code in answer.codes for code in rule.codes):
        return False
    if rule.header and not _has_header(rule.header, answer.headers):
        return False
    if rule.without_headers and any(_re(rule.without_headers).search(name) for name in answer.headers):
        return False
    if rule.window and not any(_re(rule.window).search(window.name) for window in case.used_up):
        return False
    if rule.text and not _re(rule.text).search(answer.message or answer.body):
        return False
    return not rule.raw or bool(_re(rule.raw).search(answer.body))


def _has_header(wanted: tuple[str, str], headers: dict[str, str]) -> bool:
    name, pattern = wanted
    return name in headers and bool(_re(pattern).search(headers[name]))


@functools.lru_cache(maxsize=1024)
def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _code(rule: ErrorRule, answer: Answer) -> str:
    """The provider's own word: the code that the row named, else the first that says more than a number does."""
    named = [code for code in answer.codes if code in rule.codes]
    telling = [code for code in answer.codes if not code.isdigit() and code not in ("error", "failed")]
    return next(iter(named or telling), f"http_{answer.status}")


def _scope(rule: ErrorRule, case: _Case, model: str | None) -> Scope:
    """The row's scope; a limit whose used-up windows all belong to a model concerns only the model."""
    scope = _SCOPES.get(rule.verdict, Scope.REQUEST) if rule.scope is None else rule.scope
    if rule.scope is None and rule.verdict in (Verdict.RATE_LIMITED, Verdict.QUOTA_EXHAUSTED):
        pattern, used_up = case.provider.model_windows, case.used_up
        if pattern and used_up and all(_re(pattern).search(window.name) for window in used_up):
            scope = Scope.MODEL
    if scope is Scope.MODEL and model is None:
        return Scope.REQUEST
    return scope


def _pushback(rule: ErrorRule, case: _Case) -> float | None:
    """Seconds from now, from the most exact source that speaks; None where waiting is not the cure."""
    if rule.verdict not in _WAITING:
        return rule.wait
    if rule.verdict is Verdict.TRANSIENT_SERVER_FAILURE:
        told = _first(_direct(case), _stated(case), _spoken(case), rule.wait)
        return None if told is None else min(told, OVERLOAD_WAIT)
    if rule.until_midnight:
        midnight = until_midnight(rule.until_midnight, case.answer.server_now)
        return max(midnight, _first(_stated(case), 0.0) or 0.0)
    if rule.verdict is Verdict.QUOTA_EXHAUSTED:
        return _first(_stated(case), _window_wait(rule, case), _direct(case), _spoken(case), rule.wait)
    return _first(_direct(case), _stated(case), _window_wait(rule, case), _spoken(case), rule.wait)


def _first(*waits: float | None) -> float | None:
    return next((wait for wait in waits if wait is not None), None)


def _direct(case: _Case) -> float | None:
    return resets.retry_after(case.answer.headers, server_now=case.answer.server_now)


def _stated(case: _Case) -> float | None:
    """The longest reset in a field of the body: a 429 may list a minute and a day limit together."""
    return max((seconds for _, seconds in case.answer.waits), default=None)


def _spoken(case: _Case) -> float | None:
    answer = case.answer
    return resets.from_text(answer.message, server_now=answer.server_now, offset_hours=case.provider.stamp_offset)


def _window_wait(rule: ErrorRule, case: _Case) -> float | None:
    """The longest reset of the windows that the row is about: those in `resets`, else in `window`, else all used up."""
    windows = case.windows if rule.resets else case.used_up
    pattern = _re(rule.resets or rule.window)
    return max((w.wait for w in windows if w.wait is not None and pattern.search(w.name)), default=None)


def until_midnight(zone: str, now: float) -> float:
    """Seconds from `now` (unix) to the next midnight in the zone; without zone data, in its standard offset."""
    try:
        info: Any = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        info = UTC
        now -= _STANDARD_OFFSET.get(zone, 0) * -3600
    today = datetime.fromtimestamp(now, info)
    midnight = datetime.combine(today.date() + timedelta(days=1), time(), info)
    return midnight.timestamp() - now


_STANDARD_OFFSET = {"America/Los_Angeles": -8, "Asia/Shanghai": 8}


def _frame_headers(data: Any) -> tuple[tuple[bytes, bytes], ...]:
    """The `headers` object of a Codex socket error frame."""
    found = data.get("headers") if isinstance(data, dict) else None
    if not isinstance(found, dict):
        return ()
    return tuple(
        (str(name).encode("latin-1", "replace"), str(value).encode("latin-1", "replace"))
        for name, value in list(found.items())[:100]
        if isinstance(value, str | int | float)
    )


def _implied_status(codes: tuple[str, ...]) -> int:
    """The status that an error names, else the one of its code, else 500."""
    named = (int(code) for code in codes if len(code) == 3 and code.isascii() and code.isdigit())
    number = next((status for status in named if 400 <= status <= 599), None)
    return number or next((STATUS_OF_CODE[code] for code in codes if code in STATUS_OF_CODE), 500)
