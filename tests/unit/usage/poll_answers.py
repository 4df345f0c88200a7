"""What the tests of polls share: an account, answers of a provider, and a poll driven through them."""

import json
from collections.abc import Callable
from typing import Any

from mitm_balancer.secrets import Secret
from mitm_balancer.usage.polls.model import Answer, Asking, Finding, Poll, Question, Subject
from mitm_balancer.usage.polls.registry import POLLS

NOW = 1_790_000_000.0
KEY = "sk-canary-0123456789abcdef"


def account(provider: str, secret: str = KEY, **fields: Any) -> Subject:
    kind = fields.pop("kind", "oauth")
    return Subject(f"{provider}/work", provider, kind, Secret(secret), **fields)


def told(data: Any, status: int = 200, **headers: str) -> Answer:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, NOW)


def polled(subject: Subject, *answers: Answer | Callable[[Question], Answer]) -> tuple[Finding, list[Question]]:
    """The finding, and all that was asked for it. There must be exactly as many questions as answers."""
    poll: Poll = POLLS[subject.provider]
    asking: Asking = poll.asking(subject, NOW)
    questions: list[Question] = []
    left = list(answers)
    try:
        question = next(asking)
        while True:
            questions.append(question)
            assert left, f"one question too many: {question.method} {question.url}"
            answer = left.pop(0)
            question = asking.send(answer if isinstance(answer, Answer) else answer(question))
    except StopIteration as end:
        assert not left, f"{len(left)} answers were not asked for"
        return end.value, questions


def paths(questions: list[Question]) -> list[str]:
    return [question.url.removeprefix("https://") for question in questions]


def header(question: Question, name: str) -> str:
    return dict(question.headers)[name]
