"""Anthropic subscriptions: `/api/oauth/usage` (wire-facts 1.7). It limits hard and for an hour, so it is asked rarely.

API keys have nothing to ask; for both the response headers tell more, and sooner.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from mitm_balancer.providers.limits import Window
from mitm_balancer.usage.polls.model import (
    EXACT,
    MOST_WINDOWS,
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

WHAT = "Anthropic usage"

_TOKEN = re.compile(r"sk-ant-oat")

_NAMES = {"five_hour": "unified-5h", "seven_day": "unified-7d"}
"""To the names of the response headers (`anthropic-ratelimit-unified-5h-...`), which tell of the same windows."""

_MINUTES = {"unified-5h": 300}
_WEEK = 7 * 24 * 60

_LIMIT_KINDS = {"session": "unified-5h", "weekly_all": "unified-7d"}


def _asking(subject: Subject, _: float) -> Asking:
    if not _TOKEN.match(subject.secret.reveal()):
        return unavailable("Anthropic keys have no usage endpoint; answers' headers tell the limits.", settled=True)
    answer = yield Question(
        subject.url("https://api.anthropic.com", "/api/oauth/usage"),
        (("Authorization", f"Bearer {subject.secret.reveal()}"), ("anthropic-beta", "oauth-2025-04-20")),
    )
    return refused(WHAT, answer) if not answer.ok else read(answer)


def read(answer: Answer) -> Finding:
    """The finding of a 2xx answer. `limits` is the newer form and outranks the flat windows of the same name."""
    data = answer.data
    windows = {window.name: window for window in _flat(data, answer)}
    windows |= {window.name: window for window in _listed(data, answer)}
    if not data:
        return unavailable(f"{WHAT} request gave no JSON object.", answer)
    return Finding(
        EXACT,
        f"{WHAT} fetched.",
        windows=tuple(windows.values())[:MOST_WINDOWS],
        amounts=tuple(_extra(part(data, "extra_usage"))),
        raw=(data,),
    )


def _flat(data: dict[str, Any], answer: Answer) -> Generator[Window]:
    """`five_hour`, `seven_day`, `seven_day_opus`, ...: percent, not the fraction of the headers (C9)."""
    for key, stated in data.items():
        if key.startswith(("five_hour", "seven_day")) and isinstance(stated, dict):
            name = _NAMES.get(key) or f"unified-7d_{word(key.removeprefix('seven_day_'))}"
            window = _window(name, stated.get("utilization"), stated.get("resets_at"), answer)
            if worth_keeping(window):
                yield window


def _listed(data: dict[str, Any], answer: Answer) -> Generator[Window]:
    for limit in items(data.get("limits")):
        if limit.get("is_active") is False:
            continue
        name = _LIMIT_KINDS.get(word(limit.get("kind")))
        if name is None:
            model = part(limit, "scope", "model")
            scope = word(model.get("display_name")) or word(model.get("id")) or word(limit.get("group"))
            if not scope:
                continue
            name = f"unified-7d_{re.sub(r'[^a-z0-9]+', '_', scope.lower()).strip('_')}"
        window = _window(name, limit.get("percent"), limit.get("resets_at"), answer)
        if worth_keeping(window):
            yield window


def _window(name: str, used: Any, at: Any, answer: Answer) -> Window:
    return Window(name, number(used), wait=answer.wait(reset(at)), minutes=_MINUTES.get(name, _WEEK))


def _extra(extra: dict[str, Any]) -> Generator[Amount]:
    """Paid use beyond the plan, stated in cents."""
    if extra.get("is_enabled") is True:
        used, limit = _money(extra.get("used_credits")), _money(extra.get("monthly_limit"))
        left = None if used is None or limit is None else max(0.0, limit - used)
        yield Amount("extra usage", used, left, limit, word(extra.get("currency")).upper())


def _money(cents: Any) -> float | None:
    found = number(cents)
    return None if found is None else found / 100


POLL = Poll(_asking, every=900.0, on_demand=180.0, quiet=900.0)
