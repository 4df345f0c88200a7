"""A ChatGPT subscription: `wham/usage` (wire-facts 3.7, behaviour spec 4.1), every window and the credits."""

from __future__ import annotations

import re
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
from mitm_balancer.usage.polls.reading import items, number, part, reset, word, worth_keeping

WHAT = "OpenAI ChatGPT usage"

PLANS = {
    "plus": "ChatGPT Plus",
    "pro": "ChatGPT Pro",
    "team": "ChatGPT Team",
    "enterprise": "ChatGPT Enterprise",
}

_PAIR = (("primary", "primary_window"), ("secondary", "secondary_window"))
"""Our names are those of the response headers, so that both tell of the same window."""


def _asking(subject: Subject, _: float) -> Asking:
    if subject.kind == "wellknown":
        return unavailable("OpenAI ChatGPT usage requires OAuth auth.", settled=True)
    headers = [("Authorization", f"Bearer {subject.secret.reveal()}")]
    if account := subject.identity.get("account_id"):
        headers.append(("ChatGPT-Account-Id", account))
    answer = yield Question(subject.url("https://chatgpt.com", "/backend-api/wham/usage"), tuple(headers))
    return refused(WHAT, answer) if not answer.ok else read(answer)


def read(answer: Answer) -> Finding:
    """The finding of a 2xx answer."""
    data = answer.data
    if not data:
        return unavailable(f"{WHAT} request gave no JSON object.", answer)
    windows = list(_windows("", part(data, "rate_limit"), answer))
    for extra in items(data.get("additional_rate_limits")):
        windows += _windows(f"{_metered(extra)}-", part(extra, "rate_limit"), answer)
    windows += _windows("code-review-", part(data, "code_review_rate_limit"), answer)
    return Finding(
        EXACT,
        f"{WHAT} fetched.",
        plan=plan_name(data.get("plan_type")),
        windows=tuple(windows),
        amounts=tuple(_amounts(data)),
        raw=(data,),
    )


def plan_name(plan: Any) -> str:
    """`plus` -> `ChatGPT Plus`; names that are not known stay as they are."""
    return PLANS.get(word(plan), word(plan))


def _metered(extra: dict[str, Any]) -> str:
    """`codex_bengalfox` -> `bengalfox`: as in `x-codex-bengalfox-primary-used-percent`."""
    name = word(extra.get("metered_feature")) or word(extra.get("limit_name")) or "other"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").removeprefix("codex-") or "other"


def _windows(prefix: str, limit: dict[str, Any], answer: Answer) -> list[Window]:
    found = []
    for name, key in _PAIR:
        if stated := part(limit, key):
            window = _window(prefix + name, stated, answer)
            found += [window] if worth_keeping(window) else []
    return found


def _window(name: str, stated: dict[str, Any], answer: Answer) -> Window:
    seconds = number(stated.get("limit_window_seconds"))
    at = reset(stated.get("reset_at"))
    wait = answer.wait(at) if at is not None else number(stated.get("reset_after_seconds"))
    return Window(
        name,
        used_percent=number(stated.get("used_percent")),
        wait=wait,
        minutes=None if not seconds else round(seconds / 60),
    )


def _amounts(data: dict[str, Any]) -> list[Amount]:
    credits, found = part(data, "credits"), []
    if credits.get("unlimited") is True:
        found.append(Amount("credits", unlimited=True))
    elif (balance := number(credits.get("balance"))) is not None:
        found.append(Amount("credits", remaining=balance))
    resets_left = number(part(data, "rate_limit_reset_credits").get("available_count"))
    if resets_left:
        found.append(Amount("limit resets", remaining=resets_left))
    return found


POLL = Poll(_asking)
