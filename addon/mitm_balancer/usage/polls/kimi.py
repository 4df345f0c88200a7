"""Kimi: the subscription's windows, and the balance of the open platform (wire-facts 17.7)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mitm_balancer.providers.limits import Window
from mitm_balancer.usage.polls.model import (
    EXACT,
    Amount,
    Answer,
    Asking,
    Finding,
    Poll,
    Question,
    Subject,
    refused,
    unavailable,
)
from mitm_balancer.usage.polls.reading import items, number, part, percent, reset, word, worth_keeping

_UNITS = {"TIME_UNIT_MINUTE": 1, "TIME_UNIT_HOUR": 60, "TIME_UNIT_DAY": 1440, "TIME_UNIT_WEEK": 10_080}


def _bearer(subject: Subject) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {subject.secret.reveal()}"),)


def _coding(subject: Subject, _: float) -> Asking:
    answer = yield Question(subject.url("https://api.kimi.com", "/coding/v1/usages"), _bearer(subject))
    return refused("Kimi usage", answer) if not answer.ok else read(answer)


def read(answer: Answer) -> Finding:
    """The finding of a 2xx answer about the subscription."""
    windows = tuple(window for window in _windows(answer.data, answer) if worth_keeping(window))
    if not windows:
        return unavailable("Kimi usage request gave no limits.", answer)
    return Finding(EXACT, "Kimi usage fetched.", windows=windows, raw=(answer.data,))


def _windows(data: dict[str, Any], answer: Answer) -> Generator[Window]:
    if whole := part(data, "usage"):
        yield _window("plan", whole, None, answer)
    for limit in items(data.get("limits")):
        length = part(limit, "window")
        minutes = (number(length.get("duration")) or 0.0) * _UNITS.get(word(length.get("timeUnit")), 0)
        name = f"{minutes / 60:g}h" if minutes >= 60 else f"{minutes:g}m" if minutes else "window"
        yield _window(name, part(limit, "detail"), round(minutes) or None, answer)


def _window(name: str, stated: dict[str, Any], minutes: int | None, answer: Answer) -> Window:
    limit, used, left = number(stated.get("limit")), number(stated.get("used")), number(stated.get("remaining"))
    if left is None and limit is not None and used is not None:
        left = max(0.0, limit - used)
    if used is None and limit is not None and left is not None:
        used = max(0.0, limit - left)
    wait = answer.wait(reset(stated.get("resetTime")))
    return Window(name, percent(None, used, left), left, limit, wait, minutes=minutes)


def _platform(origin: str, unit: str) -> Poll:
    def asking(subject: Subject, _: float) -> Asking:
        answer = yield Question(subject.url(origin, "/v1/users/me/balance"), _bearer(subject))
        return refused("Moonshot balance", answer) if not answer.ok else balance(answer, unit)

    return Poll(asking)


def balance(answer: Answer, unit: str) -> Finding:
    """The finding of a 2xx answer about the open platform's balance."""
    data = part(answer.data, "data")
    amounts = tuple(
        Amount(name, remaining=left, unit=unit)
        for name, key in (("balance", "available_balance"), ("of it vouchers", "voucher_balance"))
        if (left := number(data.get(key))) is not None
    )
    if not amounts:
        return unavailable("Moonshot balance request gave no balance.", answer)
    return Finding(EXACT, "Moonshot balance fetched.", amounts=amounts, raw=(answer.data,))


POLL = Poll(_coding)
INTERNATIONAL = _platform("https://api.moonshot.ai", "USD")
CHINA = _platform("https://api.moonshot.cn", "CNY")
