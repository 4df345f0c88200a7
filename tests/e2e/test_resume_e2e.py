"""`resume`: a stream that breaks after its first byte is gone on with, by another request, where that is allowed."""

from __future__ import annotations

import asyncio
import json
import re
import time

import pytest

from e2e.conftest import Launch
from e2e.helpers import ANTHROPIC, CHAT, GEMINI, RESPONSES, Corner, Speech, ask, config_of, corner
from e2e.rawclient import RawAnswer
from mitm_balancer.store import Store
from mitm_balancer.testing import FakeProvider, Record, steps
from mitm_balancer.usage.book import local_day

WHOLE = 'Once upon a time\n"there was" a \u00fcmlaut'
"""Cut into four events, and then into seven."""

SPEAKS = pytest.mark.parametrize("speech", [ANTHROPIC, CHAT, GEMINI], ids=lambda speech: speech.name)
TEXT = {ANTHROPIC.name: '"text":', CHAT.name: '"content":', GEMINI.name: '"text":'}


def text_of(speech: Speech, answer: RawAnswer) -> str:
    """All that was said, in one string."""
    found = re.findall(TEXT[speech.name] + r' ?("(?:[^"\\]|\\.)*")', answer.body.decode())
    return "".join(json.loads(piece) for piece in found)


def asked_for(fake: FakeProvider, where: Corner) -> list[Record]:
    return [record for record in fake.ledger if record.test_id == where.name]


def policy(resume: str) -> dict[str, object]:
    return {"resume": resume, "backoff": {"base_ms": 1, "multiplier": 1, "max_ms": 1, "jitter": "none"}}


@SPEAKS
async def test_a_replay_gives_the_rest(fake: FakeProvider, launch: Launch, speech: Speech) -> None:
    """The second answer says the same; what the client has had of it is not said again."""
    where = corner(fake, f"replay-{speech.name}", speech)
    for label in where.labels:
        fake.play(label, steps.cut(2, text=WHOLE, events=4), then=steps.ok(text=WHOLE, events=7))
    proxy = await launch(config_of([where], policy=policy("replay")))
    answer = await ask(proxy, where, stream=True)
    assert answer.status == 200 and text_of(speech, answer) == WHOLE
    assert b"error" not in answer.body
    assert len(asked_for(fake, where)) == 2
    if speech is ANTHROPIC:
        assert answer.body.count(b"event: message_start") == answer.body.count(b"event: message_stop") == 1


@SPEAKS
async def test_a_continuation_is_asked_for_with_the_beginning(
    fake: FakeProvider, launch: Launch, speech: Speech
) -> None:
    where = corner(fake, f"goes-on-{speech.name}", speech)
    first, second = where.labels
    fake.play(first, steps.cut(2, text="alpha beta gamma"), then=steps.ok(text=" and the rest"))
    fake.play(second, then=steps.ok(text=" and the rest"))
    proxy = await launch(config_of([where], policy=policy("continue")))
    answer = await ask(proxy, where, stream=True)
    assert text_of(speech, answer) == "alpha beta g and the rest"
    asked, again = asked_for(fake, where)
    before, after = json.loads(asked.body), json.loads(again.body)
    turns = "contents" if speech is GEMINI else "messages"
    assert after[turns][:-1] == before[turns] and "alpha beta g" in json.dumps(after[turns][-1])
    assert {key: value for key, value in after.items() if key != turns} == {
        key: value for key, value in before.items() if key != turns
    }


async def test_an_error_event_is_as_good_as_a_cut(fake: FakeProvider, launch: Launch) -> None:
    where = corner(fake, "broken-event", ANTHROPIC)
    for label in where.labels:
        fake.play(label, steps.error_after(2, text=WHOLE), then=steps.ok(text=WHOLE))
    proxy = await launch(config_of([where], policy=policy("replay")))
    answer = await ask(proxy, where, stream=True)
    assert text_of(ANTHROPIC, answer) == WHOLE and b"overloaded" not in answer.body


@pytest.mark.parametrize(
    ("speech", "resume", "why"),
    [(ANTHROPIC, "replay", "differs"), (RESPONSES, "replay", "no way"), (ANTHROPIC, "error", "default")],
    ids=["differs", "responses", "error"],
)
async def test_else_the_client_is_told_once(
    fake: FakeProvider, launch: Launch, speech: Speech, resume: str, why: str
) -> None:
    where = corner(fake, f"told-{resume}-{speech.name}", speech)
    for label in where.labels:
        fake.play(label, steps.cut(2, text=WHOLE), then=steps.ok(text="beta"))
    proxy = await launch(config_of([where], policy=policy(resume)))
    answer = await ask(proxy, where, stream=True)
    assert answer.body.count(b"mitm-balancer:") == 1 and b"beta" not in answer.body
    assert len(asked_for(fake, where)) == (2 if why == "differs" else 1)


async def test_a_second_break_is_the_end(fake: FakeProvider, launch: Launch) -> None:
    """One more answer at most."""
    where = corner(fake, "twice-broken", ANTHROPIC)
    for label in where.labels:
        fake.play(label, then=steps.cut(2, text=WHOLE))
    proxy = await launch(config_of([where], policy=policy("continue")))
    answer = await ask(proxy, where, stream=True)
    assert answer.body.count(b"mitm-balancer:") == 1
    assert len(asked_for(fake, where)) == 2


async def test_the_tokens_of_both_answers_are_counted(fake: FakeProvider, launch: Launch) -> None:
    """What the second one cost is billed as well, to its own account."""
    where = corner(fake, "counted", ANTHROPIC)
    for label in where.labels:
        fake.play(label, steps.cut(2, text=WHOLE, events=4), then=steps.ok(text=WHOLE, events=7))
    proxy = await launch(config_of([where], policy=policy("replay")))
    assert text_of(ANTHROPIC, await ask(proxy, where, stream=True)) == WHOLE
    store = Store.open(proxy.home)
    try:
        async with asyncio.timeout(20):
            while not (trace := store.get_trace("last")) or not store.usage(local_day(time.time())):
                await asyncio.sleep(0.05)
        second = trace["resumed"]
        assert isinstance(second, dict)
        assert second["usage"]["output"] > 0
        counted = {row.account: row.output for row in store.usage(local_day(time.time()))}
        assert counted[second["account"]] >= second["usage"]["output"]
        assert sum(row.answers for row in store.usage(local_day(time.time()))) == 2
    finally:
        store.close()
