"""One row in one dialect, form and protocol: a provider of its own, one request, and what is asked afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from e2e.harness import Proxy
from e2e.helpers import PROTOCOLS, AnyAnswer, Corner, Speech, corner, dial
from e2e.matrix.row import After, Row
from mitm_balancer.testing import FakeProvider, steps

OTHER_MODEL = b"other-model"
ENOUGH = 20.0
"""Seconds that no case needs."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Its name is its provider's, and the id of its request in the ledger."""

    row: Row
    stream: bool
    protocol: str
    corner: Corner

    @property
    def name(self) -> str:
        return self.corner.name

    @property
    def speech(self) -> Speech:
        return self.corner.speech

    @property
    def label(self) -> str:
        """What `x-balancer` must name: the alias of the account that serves, or `none`."""
        return dict(zip(("first", "second"), self.corner.labels, strict=True)).get(self.row.account, "none")


@dataclass(frozen=True, slots=True)
class Answered:
    """What the client saw, and how long it waited for the head (seconds)."""

    answer: AnyAnswer
    head_seconds: float


def cases(fake: FakeProvider, row: Row, tag: str = "") -> list[Case]:
    """All of the row, with the fake's script for the first request and for those that `later` sends."""
    made = []
    for speech in row.speeches:
        for stream in row.forms:
            for protocol in PROTOCOLS:
                form = "stream" if stream else "whole"
                where = corner(fake, f"{row.name}{tag}-{speech.name}-{form}-{protocol}", speech)
                made.append(Case(row, stream, protocol, where))
                _script(fake, row, where)
    return made


def _script(fake: FakeProvider, row: Row, where: Corner) -> None:
    first, second = where.labels
    fake.play(first, *[row.step] * row.repeat)
    if row.also is not None:
        fake.play(second, row.also)


async def ask(proxy: Proxy, case: Case, test_id: str, *, model: bytes = b"") -> Answered:
    """One request on a connection of its own. TimeoutError when it never ends."""
    method, target, headers, body = case.speech.request(stream=case.stream, test_id=test_id)
    if case.row.request_bytes:
        body = body[:-1] + b', "padding": "' + b"x" * case.row.request_bytes + b'"}'
    if model:
        target, body = _with_model(target, body, model)
    async with asyncio.timeout(ENOUGH), await dial(proxy, case.protocol, case.corner.host) as client:
        started = time.monotonic()
        answer = await client.request(method, target, headers, body)
        return Answered(answer, answer.head_at - started)


def _with_model(target: str, body: bytes, model: bytes) -> tuple[str, bytes]:
    """The same request for another model: Gemini's stands in the path."""
    fields = json.loads(body)
    if "model" in fields:
        return target, json.dumps(fields | {"model": model.decode()}).encode()
    folder, _, name = target.rpartition("/")
    return f"{folder}/{model.decode()}:{name.partition(':')[2]}", body


async def afterwards(proxy: Proxy, fake: FakeProvider, case: Case) -> After:
    """How the first account is, asked by its service: the second one cannot pay any more, so only the first is left."""
    first, second = case.corner.labels
    fake.play(second, steps.payment_required())
    answer = (await ask(proxy, case, f"{case.name}/after")).answer
    if answer.status == 200:
        assert served_by(answer) == first, served_by(answer)
        return After.READY
    assert answer.status == 429 and f"{case.name}/{first}" in answer.text, answer.text
    other = (await ask(proxy, case, f"{case.name}/other", model=OTHER_MODEL)).answer
    if other.status == 200:
        assert served_by(other) == first, served_by(other)
        return After.MODEL_OUT
    return After.COOLING


def served_by(answer: AnyAnswer) -> str:
    """The alias that `x-balancer` names."""
    return told(answer)[1]


def told(answer: AnyAnswer) -> tuple[str, str, int]:
    """`x-balancer`: the request's id, the account's alias, the number of attempts."""
    value = answer.header("x-balancer")
    assert value is not None, f"no x-balancer: {answer.status} {answer.body[:300]!r}"
    fields = dict(part.strip().split("=", 1) for part in value.split(";"))
    return fields["request"], fields["account"], int(fields["attempts"])
