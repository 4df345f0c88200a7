"""What the wire says about usage reaches the trace and `balancer status`; a user's own rule decides a failover."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from wsproto.events import TextMessage

from e2e.conftest import Launch
from e2e.harness import BIN, Proxy, bare_environment, config
from e2e.helpers import ANTHROPIC, CHAT, RESPONSES, SPEECHES, Corner, Speech, accounts_of, ask, config_of, corner, told
from e2e.test_websocket import CREATE, Socket
from mitm_balancer.store import Store
from mitm_balancer.testing import FakeProvider, steps
from mitm_balancer.testing.voices.base import INPUT_TOKENS

EVENTS = 4


async def _status_now(proxy: Proxy) -> dict[str, Any]:
    """What `balancer status --json` prints."""
    process = await asyncio.create_subprocess_exec(
        *(str(BIN / "balancer"), "--home", str(proxy.home), "status", "--json"),
        env=bare_environment(proxy.log.parent),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return json.loads(out)  # type: ignore[no-any-return]


async def _status(proxy: Proxy, shows: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Each account's usage by name, once it is as expected: within a second or two it is in the store."""
    deadline = time.monotonic() + 20
    while True:
        accounts = (await _status_now(proxy))["accounts"]
        usage = {account["name"]: account["usage"] for account in accounts}
        if shows(usage) or time.monotonic() > deadline:
            return usage


async def _ask(proxy: Proxy, where: Corner, *, stream: bool) -> str:
    """One request as a client that wants to know its tokens; the id of the request."""
    method, target, headers, body = where.speech.request(stream=stream)
    if where.speech is CHAT and stream:
        body = json.dumps(json.loads(body) | {"stream_options": {"include_usage": True}}).encode()
    async with await proxy.dial(where.host) as client:
        answer = await client.request(method, target, headers, body)
    assert (answer.status, told(answer)) == (200, (where.labels[0], 1))
    return dict(answer.headers)[b"x-balancer"].decode()[len("request=") :][:12]


def _model(speech: Speech) -> str:
    return speech.fields().get("model") or "gemini-2.5-flash"


async def test_tokens_of_every_dialect_reach_the_trace_and_the_status(fake: FakeProvider, launch: Launch) -> None:
    """Streamed, JSON, and JSON in gzip: each answer's tokens in its trace, and their sum at its account and model."""
    corners = [corner(fake, speech.name, speech) for speech in SPEECHES]
    proxy = await launch(config_of(corners))
    once = {"input": INPUT_TOKENS, "output": EVENTS, "cache_read": 0, "cache_write": 0, "reasoning": 0}
    requests = []
    for where in corners:
        fake.play(where.labels[0], *(make(events=EVENTS) for make in (steps.ok, steps.ok, steps.gzipped)))
        requests += [await _ask(proxy, where, stream=stream) for stream in (True, False, False)]
    names = {f"{where.name}/{where.labels[0]}": _model(where.speech) for where in corners}

    usage = await _status(proxy, lambda found: all(found[name]["today"]["answers"] == 3 for name in names))

    total = {name: 3 * count for name, count in once.items()} | {"answers": 3, "unmetered": 0}
    for name, model in names.items():
        assert usage[name]["today"] == total, name
        assert usage[name]["models"] == {model: total}, name
    assert all(found["today"]["answers"] == 0 for name, found in usage.items() if name not in names)
    store = Store.open(proxy.home)
    traces = [store.get_trace(request) or {} for request in requests]
    store.close()
    assert [trace.get("usage") for trace in traces] == [once] * 3 * len(corners)


async def test_what_a_client_did_not_ask_for_is_counted_as_untold(fake: FakeProvider, launch: Launch) -> None:
    """OpenAI's chat streams tell no tokens unless asked; a cut stream tells those of its beginning."""
    chat, cut = corner(fake, "chat", CHAT), corner(fake, "cut", ANTHROPIC)
    fake.play(chat.labels[0], then=steps.ok())
    fake.play(cut.labels[0], steps.cut(2))
    proxy = await launch(config_of([chat, cut]))
    await ask(proxy, chat, stream=True)
    await ask(proxy, cut, stream=True)

    names = ("chat/chat-a", "cut/cut-a")
    usage = await _status(proxy, lambda found: all(found[name]["today"]["answers"] for name in names))

    today = usage["chat/chat-a"]["today"]
    assert (today["answers"], today["unmetered"], today["input"]) == (1, 1, 0)
    today = usage["cut/cut-a"]["today"]
    assert (today["answers"], today["unmetered"], today["input"]) == (1, 0, INPUT_TOKENS)


async def test_windows_are_shown_of_good_answers_and_of_refusals_and_survive_a_kill(
    fake: FakeProvider, launch: Launch
) -> None:
    """The account that refused shows why, the one that served how much is left; tokens go on where they were."""
    reset = str(int(time.time()) + 7200)
    unified = "anthropic-ratelimit-unified"
    full = ((f"{unified}-5h-utilization", "1.0"), (f"{unified}-5h-reset", reset), (f"{unified}-5h-status", "rejected"))
    some = ((f"{unified}-5h-utilization", "0.25"), (f"{unified}-5h-reset", reset), (f"{unified}-5h-status", "allowed"))
    fake.play("anthropic0", then=steps.rate_limited(headers=full))
    fake.play("anthropic1", then=steps.ok(events=EVENTS, headers=some))
    text = config(*accounts_of(fake, "anthropic", 2))
    proxy = await launch(text)
    for stream in (True, False):
        async with await proxy.dial(ANTHROPIC.host) as client:
            assert (await client.request(*ANTHROPIC.request(stream=stream))).status == 200
    usage = await _status(proxy, lambda found: found["anthropic/anthropic1"]["today"]["answers"] == 2)
    await proxy.kill()

    for number, used, word in ((0, 100.0, "rejected"), (1, 25.0, "allowed")):
        (window,) = usage[f"anthropic/anthropic{number}"]["windows"]
        assert (window["name"], window["used_percent"], window["status"]) == ("unified-5h", used, word)
        assert 7100 < window["resets_in"] <= 7200
        assert abs(window["seen_at"] - time.time()) < 60

    proxy = await launch(text)
    async with await proxy.dial(ANTHROPIC.host) as client:
        assert (await client.request(*ANTHROPIC.request(stream=True))).status == 200
    usage = await _status(proxy, lambda found: found["anthropic/anthropic1"]["today"]["answers"] == 3)
    assert usage["anthropic/anthropic1"]["today"]["input"] == 3 * INPUT_TOKENS


async def test_each_answer_inside_a_socket_is_counted_once(fake: FakeProvider, launch: Launch) -> None:
    """Its model is that of the answer: the handshake names none."""
    fake.play("openai0", then=steps.ok(events=EVENTS))
    proxy = await launch(config(*accounts_of(fake, "openai", 2)))
    async with Socket.open(proxy) as socket:
        for _ in range(2):
            await socket.send(TextMessage(data=CREATE))
            await socket.events("response.completed")
        # Counted while it is open: sockets of agents are open for hours.
        usage = await _status(proxy, lambda found: found["openai/openai0"]["today"]["answers"] == 2)

    counted = {"answers": 2, "unmetered": 0, "input": 2 * INPUT_TOKENS, "output": 2 * EVENTS}
    rest = dict.fromkeys(("cache_read", "cache_write", "reasoning"), 0)
    assert usage["openai/openai0"]["models"] == {_model(RESPONSES): counted | rest}


TEAPOT = '{"error": {"code": "teapot", "message": "no coffee here"}}'


async def test_a_users_rule_makes_a_teapot_fail_over(fake: FakeProvider, launch: Launch) -> None:
    """A 418 is returned as it came; with a rule for this provider it is a limit, and with none for the other it stays.

    The cooldown is the rule's: the account is passed over by the next request.
    """
    named, other = corner(fake, "corp", CHAT), corner(fake, "else", CHAT)
    for where in (named, other):
        fake.play(where.labels[0], then=steps.status(418, TEAPOT))
        fake.play(where.labels[1], then=steps.ok())
    rule = {"provider": "corp", "status": 418, "code": "Teapot", "text": "COFFEE", "verdict": "RateLimited"}
    proxy = await launch(
        config(
            *named.accounts,
            *other.accounts,
            providers={w.name: w.section for w in (named, other)},
            rules=[rule | {"wait_s": 60}],
        )
    )
    for attempts in (2, 1):
        answer = await ask(proxy, named, stream=False)
        assert (answer.status, told(answer)) == (200, (named.labels[1], attempts))
    assert "corp/corp-a: RateLimited (teapot), back in 60 s" in proxy.output
    answer = await ask(proxy, other, stream=False)
    assert (answer.status, told(answer)) == (418, (other.labels[0], 1))
