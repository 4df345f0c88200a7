"""The outcome of the whole project: the first account is limited, and the client reads its answer from the second."""

from __future__ import annotations

import asyncio

import pytest

from e2e.conftest import Launch
from e2e.harness import How, config
from e2e.helpers import PROTOCOLS, SPEECHES, Client, Speech, accounts_of, came_one_by_one, dial, told
from mitm_balancer.testing import FakeProvider, steps

EVENTS, GAP = 6, 0.05


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_limited_account_is_not_noticed(fake: FakeProvider, launch: Launch, how: How, protocol: str) -> None:
    """Every dialect, streamed and not: 200 from the second account, event by event, and no trace of the 429.

    The account that served goes on: the next request makes one attempt.
    """
    rows = {"anthropic": 3, "openai": 5, "gemini": 3}
    proxy = await launch(config(*(one for name, n in rows.items() for one in accounts_of(fake, name, n))), how=how)
    active = dict.fromkeys(rows, 0)
    for speech in SPEECHES:
        async with await dial(proxy, protocol, speech.host) as client:
            for stream in (True, False):
                number = active[speech.provider]
                active[speech.provider] += 1
                await _fails_over(fake, client, speech, number, stream=stream)


async def _fails_over(fake: FakeProvider, client: Client, speech: Speech, number: int, *, stream: bool) -> None:
    limited, good = f"{speech.provider}{number}", f"{speech.provider}{number + 1}"
    case = f"{speech.name} stream={stream}"
    fake.play(limited, steps.rate_limited(retry_after=600))
    fake.play(good, then=steps.ok(events=EVENTS, gap=GAP))
    fake.ledger.clear()
    for test_id, attempts in (("first", 2), ("second", 1)):
        answer = await client.request(*speech.request(stream=stream, test_id=test_id))
        assert (answer.status, answer.complete) == (200, True), case
        assert told(answer) == (good, attempts), case
        assert f"{good}:0" in answer.text and f"{good}:{EVENTS - 1}" in answer.text, case
        assert limited not in answer.text and "rate" not in answer.text, case
        if stream:
            came_one_by_one(answer, speech.text_mark, EVENTS, GAP)
    assert [record.label for record in fake.ledger] == [limited, good, good], case
    assert fake.ledger.accepted() == {"first": 1, "second": 1}, case
    assert all(len(record.carriers) == 1 for record in fake.ledger), case


async def test_failovers_side_by_side_do_not_touch_each_other(fake: FakeProvider, launch: Launch, how: How) -> None:
    """Ten streams at once on one h2 connection while the first account is limited: each gets its own whole answer."""
    speech = SPEECHES[0]
    fake.play("anthropic0", then=steps.rate_limited(retry_after=600))
    fake.play("anthropic1", then=steps.ok(events=EVENTS, gap=GAP))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2)), how=how)
    async with await proxy.dial_h2(speech.host) as client:
        asked = [client.request(*speech.request(stream=True, test_id=str(n))) for n in range(10)]
        answers = await asyncio.gather(*asked)
    for answer in answers:
        assert (answer.status, answer.complete) == (200, True)
        assert told(answer)[0] == "anthropic1"
        came_one_by_one(answer, speech.text_mark, EVENTS, GAP)
    assert fake.ledger.accepted() == {str(n): 1 for n in range(10)}
    assert sum(told(answer)[1] == 2 for answer in answers) == len(fake.ledger.of("anthropic0")) > 0
