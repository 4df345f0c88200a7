"""OpenAI platform keys: the organisation's completions of the last day, for keys that may read it (wire-facts 2.7)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mitm_balancer.usage.polls.model import EXACT, Amount, Answer, Asking, Finding, Poll, Question, Subject, refused
from mitm_balancer.usage.polls.reading import items, number

WHAT = "OpenAI usage"

DAY = 86_400


def _asking(subject: Subject, now: float) -> Asking:
    path = f"/v1/organization/usage/completions?start_time={int(now) - DAY}&bucket_width=1d"
    url = subject.url("https://api.openai.com", path)
    answer = yield Question(url, (("Authorization", f"Bearer {subject.secret.reveal()}"),))
    return refused(WHAT, answer) if not answer.ok else read(answer)


def read(answer: Answer) -> Finding:
    """The finding of a 2xx answer: sums over all buckets and groups."""
    data = answer.data
    results = list(_results(data))
    amounts = tuple(
        Amount(f"last 24 h, {name}", used=_sum(results, key), unit=unit)
        for name, key, unit in (
            ("input", "input_tokens", "tokens"),
            ("output", "output_tokens", "tokens"),
            ("requests", "num_model_requests", "requests"),
        )
    )
    return Finding(EXACT, "OpenAI organisation usage fetched.", amounts=amounts, raw=(data,))


def _results(data: dict[str, Any]) -> Generator[dict[str, Any]]:
    for bucket in items(data.get("data")):
        yield from items(bucket.get("results"))


def _sum(results: list[dict[str, Any]], key: str) -> float:
    return sum(number(result.get(key)) or 0.0 for result in results)


POLL = Poll(_asking, every=900.0)
