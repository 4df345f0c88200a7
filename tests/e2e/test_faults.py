"""Every fault of the first account that another one cures, and those that nothing cures."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from e2e.conftest import Launch
from e2e.harness import How, Proxy, config
from e2e.helpers import (
    ANTHROPIC,
    CHAT,
    SPEECHES,
    Corner,
    Speech,
    accounts_of,
    ask,
    closed_port_url,
    config_of,
    corner,
    key_of,
    told,
)
from e2e.rawclient import RawAnswer
from mitm_balancer.testing import AcceptFault, FakeProvider, Step, make_ca, steps

CURED = {
    "429": steps.rate_limited(retry_after=600),
    "500": steps.server_error(500),
    "502": steps.server_error(502),
    "503": steps.server_error(503),
    "504": steps.server_error(504),
    "529": steps.server_error(529),
    "401": steps.unauthorized(),
    "quota": steps.quota(3600),
    "first-event-error": steps.error_first(),
    "reset": steps.reset_before_head(),
    "end": steps.close_before_head(),
    "garbage": steps.raw(b"\x00\x01\x02 this is not HTTP\r\n\r\n"),
    "cut-after-opening": steps.cut(0),
}
RETURNED = {
    "400": steps.invalid(),
    "413": steps.too_large(),
    "422": steps.status(422),
    "context": steps.context_too_long(),
    "policy": steps.policy(),
}


def corners_for(fake: FakeProvider, names: dict[str, Step], accounts: int = 2) -> dict[Corner, bool]:
    """One for each fault, dialect, and streamed or not; the first account has the fault."""
    made = {}
    for name, step in names.items():
        for speech in SPEECHES:
            for stream in (True, False):
                title = f"{name}-{speech.name}-{'stream' if stream else 'whole'}"
                where = corner(fake, title.lower(), speech, [None] * accounts)
                fake.play(where.labels[0], step)
                made[where] = stream
    return made


async def ask_all(proxy: Proxy, corners: dict[Corner, bool]) -> dict[Corner, RawAnswer]:
    """Eight at a time: none of them waits for anything."""
    room = asyncio.Semaphore(8)

    async def one(where: Corner, stream: bool) -> RawAnswer:
        async with room:
            return await ask(proxy, where, stream=stream)

    answers = await asyncio.gather(*(one(where, stream) for where, stream in corners.items()))
    return dict(zip(corners, answers, strict=True))


async def test_whatever_ails_the_first_account_the_second_answers(fake: FakeProvider, launch: Launch, how: How) -> None:
    """Each status of the issue and each broken answer, in each dialect, streamed and not: 200 in two attempts."""
    corners = corners_for(fake, CURED)
    proxy = await launch(config_of(list(corners)), how=how)
    for where, answer in (await ask_all(proxy, corners)).items():
        assert (answer.status, answer.complete) == (200, True), where.name
        assert told(answer) == (where.labels[1], 2), where.name
        assert f"{where.labels[1]}:0" in answer.text and where.labels[0] not in answer.text, where.name
        assert [len(fake.ledger.of(label)) for label in where.labels] == [1, 1], where.name


async def test_a_fault_of_the_request_comes_back_as_it_is(fake: FakeProvider, launch: Launch) -> None:
    """400, 413, 422, too long a context, a content policy: one attempt, the provider's own bytes, nobody cools (P6)."""
    corners = corners_for(fake, RETURNED)
    proxy = await launch(config_of(list(corners)))
    for where, answer in (await ask_all(proxy, corners)).items():
        record = fake.ledger.of(where.labels[0])[0]
        assert answer.status == record.status and 400 <= answer.status < 500, where.name
        assert told(answer) == (where.labels[0], 1), where.name
        assert answer.complete and len(answer.body) == record.bytes_sent, where.name
        assert not fake.ledger.of(where.labels[1]), where.name
    for where, answer in (await ask_all(proxy, corners)).items():
        assert (answer.status, told(answer)) == (200, (where.labels[0], 1)), f"{where.name}: the account cooled"


@pytest.fixture
async def unreachable(fake: FakeProvider, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Base URLs at which no request may ever arrive: the name of what is wrong -> URL."""
    urls = {"refused": closed_port_url()}
    async with contextlib.AsyncExitStack() as stack:
        stranger = await stack.enter_async_context(FakeProvider({}, ca=make_ca(tmp_path / "stranger")))
        urls["certificate"] = stranger.url
        servers = [stranger]
        for fault in AcceptFault:
            rude = await stack.enter_async_context(FakeProvider({}, ca=fake.ca))
            rude.on_accept(*[fault] * 40)
            urls[fault.value] = rude.url
            servers.append(rude)
        yield urls
        assert not any(len(server.ledger) for server in servers), "a request went where nobody may be trusted"
        assert all(server.ledger.connections for server in servers), "a fault was never met"


async def test_a_first_account_that_cannot_be_reached_costs_nothing(
    fake: FakeProvider, launch: Launch, how: How, unreachable: dict[str, str]
) -> None:
    """Refused, reset in TLS, closed, not TLS, silent, a wrong certificate: the second answers, billed once."""
    corners = [
        corner(fake, f"{name}-{speech.name}", speech, [url, None])
        for name, url in unreachable.items()
        for speech in SPEECHES
    ]
    proxy = await launch(config_of(corners, policy={"connect_timeout_ms": 700}), how=how)
    for where, answer in (await ask_all(proxy, dict.fromkeys(corners, True))).items():
        assert (answer.status, answer.complete, told(answer)) == (200, True, (where.labels[1], 2)), where.name
    assert fake.ledger.accepted() == {where.name: 1 for where in corners}


async def test_two_fail_and_the_third_answers(fake: FakeProvider, launch: Launch) -> None:
    """Refusals and server failures mixed: the walk goes on to the account that can."""
    pairs = {
        "refusals": (steps.rate_limited(retry_after=600), steps.quota(3600)),
        "mixed": (steps.rate_limited(retry_after=600), steps.server_error(503)),
        "other-way": (steps.server_error(500), steps.unauthorized()),
        "cut": (steps.rate_limited(retry_after=600), steps.reset_before_head()),
    }
    corners = {}
    for name, script in pairs.items():
        where = corner(fake, name, ANTHROPIC, [None] * 3)
        for label, step in zip(where.labels, script, strict=False):
            fake.play(label, then=step)
        corners[where] = True
    proxy = await launch(config_of(list(corners)))
    for where, answer in (await ask_all(proxy, corners)).items():
        assert (answer.status, told(answer)) == (200, (where.labels[2], 3)), where.name


async def test_a_resend_of_what_was_sent_happens_once(fake: FakeProvider, launch: Launch) -> None:
    """P5: two resets after the whole request: at most two accepted generations, then a clean error, never a third."""
    where = corner(fake, "ambiguous", CHAT, [None] * 3)
    for label in where.labels:
        fake.play(label, then=steps.reset_before_head())
    proxy = await launch(config_of([where]))
    answer = await ask(proxy, where, stream=True)
    assert answer.status == 502 and "mitm-balancer" in answer.json()["error"]["message"]
    assert fake.ledger.accepted()[where.name] == 2


async def test_no_resend_where_the_operator_forbids_it(fake: FakeProvider, launch: Launch) -> None:
    """`retry_ambiguous: false`: one accepted generation and a clean error."""
    where = corner(fake, "ambiguous", CHAT)
    fake.play(where.labels[0], then=steps.reset_before_head())
    proxy = await launch(config_of([where], policy={"retry_ambiguous": False}))
    answer = await ask(proxy, where, stream=True)
    assert answer.status == 502 and "billed" in answer.json()["error"]["message"]
    assert fake.ledger.accepted() == {where.name: 1}


def _error_of(speech: Speech, answer: RawAnswer) -> str:
    """The message, out of the dialect's own shape."""
    body = json.loads(answer.body)
    if speech.provider == "anthropic":
        assert body["type"] == "error" and body["error"]["type"] == "rate_limit_error"
    elif speech.provider == "gemini":
        assert (body["error"]["code"], body["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    else:
        # A long wait is told as an empty quota: Codex would sleep through anything else.
        assert body["error"]["code"] in ("rate_limit_exceeded", "insufficient_quota") and body["error"]["type"]
    message = body["error"]["message"]
    assert isinstance(message, str)
    return message


async def test_all_out_is_told_in_the_providers_shape(fake: FakeProvider, launch: Launch) -> None:
    """P11: a 429 that names each account, with the soonest true wait; `x-should-retry` only when that is long.

    The second request finds everything cooling: no attempt, the same answer.
    """
    corners = {}
    for speech in SPEECHES:
        for name, waits in (("long", (7200, 3600)), ("short", (50, 30))):
            where = corner(fake, f"{name}-{speech.name}", speech)
            for label, wait in zip(where.labels, waits, strict=True):
                fake.play(label, then=steps.rate_limited(retry_after=wait))
            corners[where] = True
    proxy = await launch(config_of(list(corners), policy={"hold_ms": 0}))
    for attempts in (2, 0):
        for where, answer in (await ask_all(proxy, corners)).items():
            assert (answer.status, told(answer)) == (429, ("none", attempts)), where.name
            message = _error_of(where.speech, answer)
            assert all(f"{where.name}/{label}" in message for label in where.labels), message
            long = where.name.startswith("long")
            soonest = 3600 if long else 30
            assert soonest - 20 <= int(answer.header("retry-after") or 0) <= soonest * 1.1 + 1, where.name
            assert answer.all("x-should-retry") == (["false"] if long else []), where.name
    assert all(len(fake.ledger.of(label)) == 1 for where in corners for label in where.labels)


async def test_the_last_refusal_that_is_no_limit_is_passed_on(fake: FakeProvider, launch: Launch) -> None:
    """All accounts answer 500: the client gets a provider's own answer, after few attempts, not one of ours."""
    where = corner(fake, "down", ANTHROPIC, [None] * 4)
    for label in where.labels:
        fake.play(label, then=steps.server_error(500))
    proxy = await launch(config_of([where]))
    answer = await ask(proxy, where, stream=True)
    assert answer.status == 500 and "mitm-balancer" not in answer.text
    assert told(answer)[1] == len(fake.ledger) <= 3


async def test_without_a_usable_account_the_client_goes_its_own_way(
    fake: FakeProvider, launch: Launch, how: How
) -> None:
    """P10: no credential can be read: the client's own one is used, and it says so; without one a shaped 503."""
    fake.labels["CLIENT-OWN"] = "client"
    host = f"127.0.0.1:{fake.port}"
    section = {"hosts": [host], "dialect": "anthropic-messages", "auth": "x-api-key", "paths": ["/*"]}
    broken = {"provider": "corp", "alias": "a", "credential": {"env": "NOT_SET_ANYWHERE"}}
    proxy = await launch(config(broken, providers={"corp": section}), how=how)
    async with await proxy.dial("127.0.0.1", fake.port) as client:
        method, path, headers, body = ANTHROPIC.request(stream=True, test_id="own")
        answer = await client.request(method, path, headers, body)
        assert (answer.status, told(answer)) == (200, ("client", 0))
        assert fake.ledger[0].label == "client" and fake.ledger[0].carriers == ("x-api-key",)
        answer = await client.request(method, path, [("content-type", "application/json")], body)
        assert (answer.status, told(answer)) == (503, ("none", 0))
        assert answer.json()["type"] == "error" and "no credential" in answer.json()["error"]["message"]
    assert len(fake.ledger) == 1
    assert "NOT_SET_ANYWHERE" in proxy.output


async def test_balancing_off_applies_the_account_and_nothing_else(fake: FakeProvider, launch: Launch) -> None:
    """`balancing: false`: the account's credential, no failover: the client sees the 429."""
    fake.play("anthropic0", then=steps.rate_limited(retry_after=600))
    proxy = await launch(config(*accounts_of(fake, "anthropic", 2), balancing=False))
    async with await proxy.dial(ANTHROPIC.host) as client:
        answer = await client.request(*ANTHROPIC.request(stream=True))
    assert answer.status == 429 and told(answer) == ("anthropic0", 1)
    assert [record.header(b"x-api-key") for record in fake.ledger] == [key_of("anthropic0")]


async def test_a_refusal_that_is_cut_ends_as_it_came(fake: FakeProvider, launch: Launch) -> None:
    """A 400 whose body breaks off: what came of it, then a broken connection; no client waits for the rest."""
    where = corner(fake, "cut", CHAT)
    fake.play(where.labels[0], steps.raw(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 500\r\n\r\n", b'{"error":'))
    proxy = await launch(config_of([where]))
    async with asyncio.timeout(20):
        answer = await ask(proxy, where, stream=True)
    assert (answer.status, answer.body, answer.complete) == (400, b'{"error":', False)
    assert told(answer) == (where.labels[0], 1)
