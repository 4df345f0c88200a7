"""Gemini Code Assist: `retrieveUserQuota`, one bucket per model (wire-facts 6.5)."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from mitm_balancer.providers.limits import Window
from mitm_balancer.usage.polls.model import (
    EXACT,
    MOST_WINDOWS,
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

WHAT = "Code Assist quota"


def _asking(subject: Subject, _: float) -> Asking:
    loaded = yield _question(subject, "loadCodeAssist", {"metadata": {"pluginType": "GEMINI"}})
    project = subject.identity.get("project") or word(loaded.data.get("cloudaicompanionProject") if loaded.ok else "")
    if not project:
        what = "Code Assist project"
        return refused(what, loaded) if not loaded.ok else unavailable("Code Assist names no project.", loaded)
    answer = yield _question(subject, "retrieveUserQuota", {"project": project})
    return refused(WHAT, answer) if not answer.ok else read(answer, loaded)


def _question(subject: Subject, method: str, body: dict[str, Any]) -> Question:
    headers = (("Authorization", f"Bearer {subject.secret.reveal()}"), ("Content-Type", "application/json"))
    url = subject.url("https://cloudcode-pa.googleapis.com", f"/v1internal:{method}")
    return Question(url, headers, "POST", json.dumps(body).encode())


def read(answer: Answer, loaded: Answer) -> Finding:
    """The finding of a 2xx answer, with the tier that `loadCodeAssist` told."""
    windows = tuple(window for window in _windows(answer) if worth_keeping(window))[:MOST_WINDOWS]
    if not windows:
        return unavailable(f"{WHAT} request gave no buckets.", answer)
    tier = part(loaded.data, "currentTier") if loaded.ok else {}
    plan = word(tier.get("name")) or word(tier.get("id"))
    return Finding(EXACT, f"{WHAT} fetched.", plan=plan, windows=windows, raw=(answer.data,))


def _windows(answer: Answer) -> Generator[Window]:
    for bucket in items(answer.data.get("buckets")):
        name = word(bucket.get("modelId")) or word(bucket.get("tokenType"))
        left = number(bucket.get("remainingFraction"))
        used = None if left is None else 100.0 * (1.0 - left)
        amount = number(bucket.get("remainingAmount"))
        if name:
            yield Window(name, used, amount, wait=answer.wait(reset(bucket.get("resetTime"))))


POLL = Poll(_asking)
