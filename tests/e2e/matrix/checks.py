"""What the client saw, held against the row."""

from __future__ import annotations

import json
import time
import zlib
from typing import Any

from e2e.helpers import AnyAnswer
from e2e.matrix.case import Answered, Case, told
from e2e.matrix.row import Seen
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.testing import FakeProvider, Step
from mitm_balancer.testing.ask import read_ask
from mitm_balancer.testing.plan import GZIP_WINDOW, Data, plan
from mitm_balancer.testing.step import Trouble

ENDS = {
    Dialect.ANTHROPIC_MESSAGES: (b"message_stop", b'"stop_reason":"end_turn"'),
    Dialect.OPENAI_CHAT: (b"[DONE]", b'"finish_reason":"stop"'),
    Dialect.OPENAI_RESPONSES: (b"response.completed", b'"status":"completed"'),
    Dialect.GEMINI: (b'"finishReason"', b'"finishReason"'),
}
"""What stands at the end of a good answer: streamed, not streamed."""


def check_answer(case: Case, answered: Answered, fake: FakeProvider) -> None:
    """AssertionError when the client did not see what the row says."""
    row, answer = case.row, answered.answer
    assert row.status in (None, answer.status), f"status {answer.status}: {answer.body[:300]!r}"
    _, account, attempts = told(answer)
    assert (account, attempts) == (case.label, row.attempts)
    assert row.head_within is None or answered.head_seconds < row.head_within, f"head {answered.head_seconds:.1f} s"
    _CHECKS[row.seen](case, answer, fake)


def check_not_sent_again(case: Case, answered: Answered, fake: FakeProvider) -> None:
    """One attempt and a clean error instead of a second try that may be billed twice."""
    assert told(answered.answer)[1:] == ("none", 1)
    assert answered.answer.status in (502, 504), answered.answer.status
    _own(case, answered.answer, fake)


def _own(case: Case, answer: AnyAnswer, fake: FakeProvider) -> None:
    assert answer.complete, answer.error
    body = json.loads(answer.body)
    assert _is_error(case, body) and "billed" in body["error"]["message"], body


def _answer(case: Case, answer: AnyAnswer, fake: FakeProvider) -> None:
    plain = _plain(answer)
    _all_of_it(case, answer, fake)
    assert ENDS[Dialect(case.speech.name)][not case.stream] in plain, plain[-200:]
    for label in case.corner.labels if case.row.labelled else ():
        assert (f"{label}:0".encode() in plain) is (label == case.label), label


def _as_sent(case: Case, answer: AnyAnswer, fake: FakeProvider) -> None:
    _all_of_it(case, answer, fake)
    assert case.label.encode() in answer.body or not case.stream


def _refusal(case: Case, answer: AnyAnswer, fake: FakeProvider) -> None:
    _all_of_it(case, answer, fake)
    assert b"mitm-balancer" not in answer.body
    assert _is_error(case, json.loads(answer.body))


def _all_of_it(case: Case, answer: AnyAnswer, fake: FakeProvider) -> None:
    """Complete, and byte for byte what the provider sent."""
    assert answer.complete, answer.error
    assert answer.body == _sent(case, fake), f"{len(answer.body)} bytes: not what was sent"


def _sent(case: Case, fake: FakeProvider) -> bytes:
    """The body that the account which served sent: answers are the same for the same request, so it is made again."""
    record = [record for record in fake.ledger.of(case.label) if record.test_id == case.name][-1]
    step = case.row.step if case.row.account == "first" else Step()
    ask = read_ask(
        *(record.method, record.target, record.headers, record.body),
        label=case.label,
        number=record.number,
        now=time.time(),
    )
    return b"".join(action.data for action in plan(step, ask) if isinstance(action, Data))


def _error_event(case: Case, answer: AnyAnswer, fake: FakeProvider) -> None:
    """Never something that looks like success: the last event is the dialect's error, no end marker stands anywhere."""
    assert answer.complete, answer.error
    if case.row.step.trouble is not Trouble.RST:  # a reset may overtake what was sent before it
        assert answer.body.startswith(_sent(case, fake)), "what had come is not what was sent"
    assert ENDS[Dialect(case.speech.name)][0] not in answer.body or case.row.name == "no-end", answer.body[-300:]
    assert f"{case.label}:0".encode() in answer.body or not case.row.labelled
    events = [event for event in answer.body.replace(b"\r\n", b"\n").split(b"\n\n") if event.strip()]
    data = next(line for line in events[-1].split(b"\n") if line.startswith(b"data:"))
    error = json.loads(data[5:])
    assert _is_error(case, error) and "mitm-balancer" in json.dumps(error), error


def _broken(case: Case, answer: AnyAnswer, fake: FakeProvider) -> None:
    assert not answer.complete and answer.error, answer.body[-200:]
    assert case.label.encode() in _plain(answer)


def _is_error(case: Case, body: dict[str, Any]) -> bool:
    """The shape that the dialect's clients understand (wire-facts 1.4, 2.4, 3.5, 5.4)."""
    if body.get("type") == "response.failed":
        return case.speech.name == Dialect.OPENAI_RESPONSES and bool(body["response"]["error"]["message"])
    error = body["error"]
    match Dialect(case.speech.name):
        case Dialect.ANTHROPIC_MESSAGES:
            return body["type"] == "error" and bool(error["type"]) and bool(error["message"])
        case Dialect.GEMINI:
            return isinstance(error["code"], int) and error["status"].isupper() and bool(error["message"])
        case _:
            return bool(error["message"]) and "type" in error and "code" in error


def _plain(answer: AnyAnswer) -> bytes:
    """The body without its content coding, as far as it came."""
    if answer.header("content-encoding") != "gzip":
        return answer.body
    return zlib.decompressobj(GZIP_WINDOW).decompress(answer.body)


_CHECKS = {
    Seen.ANSWER: _answer,
    Seen.AS_SENT: _as_sent,
    Seen.REFUSAL: _refusal,
    Seen.ERROR_EVENT: _error_event,
    Seen.BROKEN: _broken,
    Seen.OWN: _own,
}
