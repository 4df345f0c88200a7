"""OpenRouter: what the key may spend, and what the account has bought (wire-facts 8)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mitm_balancer.providers.limits import Window
from mitm_balancer.usage.polls.model import EXACT, Amount, Answer, Asking, Finding, Poll, Question, Subject, refused
from mitm_balancer.usage.polls.reading import number, part, percent

WHAT = "OpenRouter usage"
ORIGIN = "https://openrouter.ai"


def _asking(subject: Subject, _: float) -> Asking:
    bearer = (("Authorization", f"Bearer {subject.secret.reveal()}"),)
    key = yield Question(subject.url(ORIGIN, "/api/v1/key"), bearer)
    if not key.ok:
        return refused(WHAT, key)
    # Keys of some kinds may not see the account's credits: then the key's own numbers are all there is.
    credits = yield Question(subject.url(ORIGIN, "/api/v1/credits"), bearer)
    return read(key, credits)


def read(key: Answer, credits: Answer) -> Finding:
    """The finding of a 2xx answer about the key, and any answer about the credits."""
    data = part(key.data, "data")
    bought = part(credits.data, "data") if credits.ok else {}
    return Finding(
        EXACT,
        f"{WHAT} fetched.",
        plan="free tier" if data.get("is_free_tier") is True else "",
        windows=tuple(_key_limit(data)),
        amounts=(*_spent(data), *_credits(bought)),
        raw=tuple(answer.data for answer in (key, credits) if answer.ok),
    )


def _key_limit(data: dict[str, Any]) -> Generator[Window]:
    """The key's own spending limit, where it has one; in USD."""
    limit, left = number(data.get("limit")), number(data.get("limit_remaining"))
    if limit and left is not None:
        yield Window("key-limit", percent(None, max(0.0, limit - left), left), left, limit)


def _spent(data: dict[str, Any]) -> Generator[Amount]:
    for name, key in (("today", "usage_daily"), ("this week", "usage_weekly"), ("this month", "usage_monthly")):
        if (used := number(data.get(key))) is not None:
            yield Amount(name, used=used, unit="USD")


def _credits(bought: dict[str, Any]) -> Generator[Amount]:
    """No window: what was ever bought says little about what can still be done, what is left says it."""
    total, used = number(bought.get("total_credits")), number(bought.get("total_usage"))
    if total is not None and used is not None:
        yield Amount("credits", used, total - used, total, "USD")


POLL = Poll(_asking)
