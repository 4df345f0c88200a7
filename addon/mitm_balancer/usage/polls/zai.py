"""Z.ai and BigModel coding plans: `monitor/usage/quota/limit` (wire-facts 18)."""

from __future__ import annotations

import dataclasses
from typing import Any

from mitm_balancer.providers.limits import Window
from mitm_balancer.usage.polls.model import (
    EXACT,
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

WHAT = "Z.ai quota"

_NAMES = {"TOKENS_LIMIT": "tokens", "TIME_LIMIT": "tools"}


def _poll(origin: str) -> Poll:
    def asking(subject: Subject, _: float) -> Asking:
        url = subject.url(origin, "/api/monitor/usage/quota/limit")
        answer = yield Question(url, (("Authorization", f"Bearer {subject.secret.reveal()}"),))
        return refused(WHAT, answer) if not answer.ok else read(answer)

    return Poll(asking)


def read(answer: Answer) -> Finding:
    """The finding of a 2xx answer; `success: false` is a failure with HTTP 200."""
    data = part(answer.data, "data")
    windows = tuple(w for limit in items(data.get("limits")) if worth_keeping(w := _window(limit, answer)))
    if answer.data.get("success") is False or not windows:
        return unavailable(f"{WHAT} request gave no limits.", answer)
    names = {window.name for window in windows}
    if len(names) < len(windows):  # two of a kind, a short and a long one: only their resets tell them apart
        windows = tuple(_numbered(windows))
    plan = word(data.get("planName")) or word(data.get("level"))
    return Finding(EXACT, f"{WHAT} fetched.", plan=plan, windows=windows, raw=(answer.data,))


def _window(limit: dict[str, Any], answer: Answer) -> Window:
    kind = word(limit.get("type"))
    counted, left = number(limit.get("currentValue")), number(limit.get("remaining"))
    used = percent(number(limit.get("percentage")), counted, left)
    wait = answer.wait(reset(limit.get("nextResetTime")))
    return Window(_NAMES.get(kind, kind.lower() or "limit"), used, left, number(limit.get("usage")), wait)


def _numbered(windows: tuple[Window, ...]) -> list[Window]:
    seen: dict[str, int] = {}
    found = []
    for window in sorted(windows, key=lambda w: w.wait if w.wait is not None else 0.0):
        seen[window.name] = count = seen.get(window.name, 0) + 1
        found.append(window if count == 1 else dataclasses.replace(window, name=f"{window.name}-{count}"))
    return found


INTERNATIONAL = _poll("https://api.z.ai")
CHINA = _poll("https://open.bigmodel.cn")
