"""Another provider stands in when the client's own is out: what arrives there, byte for byte, and the way back."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from e2e.conftest import Launch
from e2e.harness import Proxy, account, config
from e2e.helpers import ANTHROPIC, CHAT, GEMINI, RESPONSES, Speech, came_one_by_one, key_of, told
from e2e.rawclient import RawAnswer
from mitm_balancer.ops.story import story
from mitm_balancer.store import Store
from mitm_balancer.testing import FakeProvider, steps
from mitm_balancer.testing.ask import AskKind
from mitm_balancer.testing.ledger import Record

HOUR = 3600.0
OFF = {"enabled": False}


def known(fake: FakeProvider, provider: str, alias: str = "", **fields: Any) -> dict[str, Any]:
    """An account that the fake knows by its alias; without one, by the provider's name."""
    alias = alias or provider
    fake.labels[key_of(alias)] = alias
    return account(provider, alias, key_of(alias), fake, **fields)


def matrix(*rows: dict[str, Any], across: str = "return") -> dict[str, Any]:
    return {"priority": {"across": across, "providers": list(rows)}}


async def post(
    proxy: Proxy, speech: Speech, body: dict[str, Any] | bytes | None = None, path: str = "", **headers: str
) -> RawAnswer:
    async with await proxy.dial(speech.host) as client:
        method, target, fields, own = speech.request(stream=False)
        content = own if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        more = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return await client.request(method, path or target, [*fields, *more], content)


def without_credential(record: Record) -> list[tuple[bytes, bytes]]:
    gone = (b"authorization", b"x-api-key", b"x-goog-api-key", b"content-length")
    return [(name, value) for name, value in record.headers if name.lower() not in gone]


ENTRIES = {
    "openrouter": ("/api/v1/messages", "authorization"),
    "zai": ("/api/anthropic/v1/messages", "x-api-key"),
    "deepseek": ("/anthropic/v1/messages", "authorization"),
    "kimi": ("/coding/v1/messages", "authorization"),
    "minimax": ("/anthropic/v1/messages", "x-api-key"),
}


@pytest.mark.parametrize("provider", ENTRIES)
async def test_only_credential_host_path_and_model_are_others(
    fake: FakeProvider, launch: Launch, provider: str
) -> None:
    fake.play("home", steps.rate_limited(retry_after=HOUR))
    rows = matrix({"provider": "anthropic"}, {"provider": provider, "model": "other-model"})
    proxy = await launch(config(known(fake, "anthropic", "home"), known(fake, provider), **rows))
    body = (
        b'{ "messages": [{"role":"user","content":"\\u00e4 \\"model\\": \\"claude-x\\""}],\n'
        b' "model" : "claude-x" ,"max_tokens":9}'
    )
    sent = {"anthropic_beta": "oauth-2025-04-20,context-1m-2025-08-07", "anthropic_version": "2023-06-01"}
    answer = await post(proxy, ANTHROPIC, body, "/v1/messages?beta=true", anthropic_workspace_id="w", **sent)
    assert answer.status == 200, answer.text
    assert told(answer) == (provider, 2)
    home, other = fake.ledger.of("home")[0], fake.ledger.of(provider)[0]
    assert other.body == body.replace(b': "claude-x" ,', b': "other-model" ,')
    path, carrier = ENTRIES[provider]
    assert other.target == f"{path}?beta=true"
    assert other.carriers == (carrier,)
    assert without_credential(other) == without_credential(home), "the key's own home drops the same token of OAuth"
    assert other.header(b"anthropic-beta") == "context-1m-2025-08-07"
    assert other.header(b"anthropic-workspace-id") is None
    await proxy.says(f"{provider}/{provider} serves claude-x as other-model in place of anthropic")
    again = await post(proxy, ANTHROPIC, body)
    assert told(again) == (provider, 1), "the home is not asked before its time"
    assert proxy.output.count("in place of anthropic") == 1


async def test_a_stream_is_passed_on_as_it_comes(fake: FakeProvider, launch: Launch) -> None:
    fake.play("home", then=steps.rate_limited(retry_after=HOUR))
    fake.play("zai", then=steps.ok(events=6, gap=0.1))
    rows = matrix({"provider": "zai", "model": "glm-4.6"})
    proxy = await launch(config(known(fake, "anthropic", "home"), known(fake, "zai"), **rows))
    async with await proxy.dial(ANTHROPIC.host) as client:
        answer = await client.request(*ANTHROPIC.request(stream=True))
    assert (answer.status, answer.complete, told(answer)) == (200, True, ("zai", 2))
    came_one_by_one(answer, ANTHROPIC.text_mark, 6, 0.1)


async def test_other_dialects_and_codings(fake: FakeProvider, launch: Launch) -> None:
    """Chat by body, Gemini by path; a coded body goes out plain, and without the header that said so."""
    for label in ("openai", "gemini"):
        fake.play(label, then=steps.rate_limited(retry_after=HOUR))
    rows = matrix({"provider": "openrouter", "model": "o/r"}, {"provider": "opencode", "model": {"gemini-*": "g-3"}})
    accounts = [known(fake, name) for name in ("openai", "gemini", "openrouter", "opencode")]
    proxy = await launch(config(*accounts, **rows))
    plain = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
    answer = await post(proxy, CHAT, gzip.compress(json.dumps(plain).encode()), content_encoding="gzip")
    assert (answer.status, told(answer)[0]) == (200, "openrouter")
    record = fake.ledger.of("openrouter")[0]
    assert record.target == "/api/v1/chat/completions"
    assert json.loads(record.body) == plain | {"model": "o/r"}
    assert record.header(b"content-encoding") is None
    assert record.header(b"content-length") == str(len(record.body))
    answer = await post(proxy, GEMINI, path="/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse&key=OWN")
    assert (answer.status, told(answer)[0]) == (200, "opencode")
    record = fake.ledger.of("opencode")[0]
    assert record.target == "/zen/v1/models/g-3:streamGenerateContent?alt=sse"
    assert record.carriers == ("x-goog-api-key",)


async def test_what_never_goes_to_another_provider(fake: FakeProvider, launch: Launch) -> None:
    """Catalogues, stored resources, what speaks of one, a model without a name there, and a disabled row."""
    fake.play("home", then=steps.rate_limited(retry_after=HOUR))
    fake.play("home", then=steps.rate_limited(retry_after=HOUR), kind=AskKind.COUNT)
    rows = matrix(
        {"provider": "anthropic"},
        {"provider": "kimi", **OFF},
        {"provider": "zai", "model": {"*-sonnet-*": "glm"}},
    )
    accounts = [known(fake, "anthropic", "home"), *(known(fake, name) for name in ("zai", "kimi", "deepseek"))]
    proxy = await launch(config(*accounts, policy={"hold_ms": 0}, **rows))
    asked = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    assert told(await post(proxy, ANTHROPIC, {"model": "claude-sonnet-4", **asked}))[0] == "zai"
    tokens = await post(proxy, ANTHROPIC, {"model": "claude-sonnet-4", **asked}, "/v1/messages/count_tokens")
    assert told(tokens)[0] == "zai"
    before = len(fake.ledger.of("zai"))
    container = "container_011CZ9abcdefghij"
    for body, path in (
        ({"model": "claude-opus-4", **asked}, ""),
        (asked, ""),
        ({"model": "claude-sonnet-4", "container": container, **asked}, ""),
        ({"model": "claude-sonnet-4", **asked}, "/v1/complete"),
        (b'{"model": "claude-sonnet-4", "model": "claude-sonnet-4"}', ""),
    ):
        answer = await post(proxy, ANTHROPIC, body, path)
        assert answer.status == 429, (body, path, answer.text)
    stored = await post(proxy, ANTHROPIC, {"requests": []}, "/v1/messages/batches")
    assert told(stored)[0] == "home", "a stored resource is made at home, whatever else is out"
    assert len(fake.ledger.of("zai")) == before
    assert not fake.ledger.of("kimi")
    assert not fake.ledger.of("deepseek"), "it stands in no row"


async def test_switched_off_nothing_goes_across(fake: FakeProvider, launch: Launch) -> None:
    fake.play("home", then=steps.rate_limited(retry_after=HOUR))
    rows = matrix({"provider": "anthropic", **OFF}, {"provider": "zai", "model": "glm"})
    proxy = await launch(config(known(fake, "anthropic", "home"), known(fake, "zai"), balancing=False, **rows))
    assert (await post(proxy, ANTHROPIC)).status == 429
    assert not fake.ledger.of("zai")


async def test_a_provider_without_accounts_and_one_that_is_switched_off(fake: FakeProvider, launch: Launch) -> None:
    """Both are served by the row, because the matrix names them. A provider that it does not name is left alone."""
    rows = matrix(
        {"provider": "anthropic", **OFF},
        {"provider": "openai"},
        {"provider": "zai", "model": "glm"},
    )
    proxy = await launch(config(known(fake, "anthropic", "home"), known(fake, "zai"), **rows))
    assert told(await post(proxy, ANTHROPIC)) == ("zai", 1)
    assert told(await post(proxy, CHAT)) == ("zai", 1)
    assert fake.ledger.of("zai")[1].target == "/api/coding/paas/v4/chat/completions"
    assert not fake.ledger.of("home")


TOOL = [
    {"role": "user", "content": "read it"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "read", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "text"}]},
]
NEXT = [*TOOL, {"role": "assistant", "content": "done"}, {"role": "user", "content": "and now?"}]


@pytest.mark.parametrize("across", ["return", "stay"])
async def test_the_way_back(fake: FakeProvider, launch: Launch, across: str) -> None:
    """A turn ends where it began; the next one is at home again, or stays."""
    fake.play("home", steps.rate_limited(retry_after=6))
    rows = matrix({"provider": "anthropic"}, {"provider": "zai", "model": "glm"}, across=across)
    proxy = await launch(config(known(fake, "anthropic", "home"), known(fake, "zai"), **rows))

    async def ask(messages: list[dict[str, Any]], session: str = "s1") -> str:
        body = {"model": "claude-x", "max_tokens": 9, "messages": messages}
        return told(await post(proxy, ANTHROPIC, body, x_claude_code_session_id=session))[0]

    assert await ask(TOOL[:1]) == "zai"
    await asyncio.sleep(6.8)  # the cooldown, and its jitter
    assert await ask(TOOL[:1], "s2") == "home"
    assert await ask(TOOL) == "zai", "its turn goes on where it is"
    assert await ask(NEXT) == ("home" if across == "return" else "zai")
    assert await ask([*NEXT, *TOOL[1:]]) == ("home" if across == "return" else "zai")
    if across == "return":
        await proxy.says("anthropic/home serves claude-x again")


async def test_strict_asks_the_rows_above_first(fake: FakeProvider, launch: Launch) -> None:
    rows = matrix({"provider": "zai", "model": "glm"}, {"provider": "anthropic"}, across="strict")
    proxy = await launch(config(known(fake, "anthropic", "home"), known(fake, "zai"), **rows))
    assert told(await post(proxy, ANTHROPIC)) == ("zai", 1)
    fake.play("zai", steps.rate_limited(retry_after=HOUR))
    assert told(await post(proxy, ANTHROPIC)) == ("home", 2)


async def test_reasoning_that_the_other_one_refuses_is_left_out(fake: FakeProvider, launch: Launch) -> None:
    """A gateway quotes the provider behind it: the refusal stands somewhere in its answer."""
    fake.play("home", then=steps.rate_limited(retry_after=HOUR))
    quoted = {"message": "messages.1.content.0: Invalid `signature` in `thinking` block"}
    error = {"error": {"code": 400, "message": "Provider returned error", "metadata": {"raw": json.dumps(quoted)}}}
    fake.play("openrouter", steps.status(400, json.dumps(error), [("content-type", "application/json")]))
    rows = matrix({"provider": "openrouter", "model": "o/r"})
    proxy = await launch(config(known(fake, "anthropic", "home"), known(fake, "openrouter"), **rows))
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [thinking, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"},
    ]
    answer = await post(proxy, ANTHROPIC, {"model": "claude-x", "max_tokens": 9, "messages": messages})
    assert (answer.status, told(answer)) == (200, ("openrouter", 3))
    sent = json.loads(fake.ledger.of("openrouter")[1].body)
    assert sent["messages"][1]["content"] == [{"type": "text", "text": "b"}]
    assert sent["model"] == "o/r"


async def test_why_tells_it_in_words(fake: FakeProvider, launch: Launch) -> None:
    fake.play("home", then=steps.rate_limited(retry_after=HOUR))
    rows = matrix({"provider": "zai", "model": "glm-4.6"})
    proxy = await launch(config(known(fake, "anthropic", "home"), known(fake, "zai"), **rows))
    answer = await post(proxy, ANTHROPIC)
    assert answer.status == 200
    await proxy.stop()
    store = Store.open(proxy.home)
    try:
        trace = store.get_trace("last")
        events = [event for event in store.events() if event.type == "failover_performed"]
    finally:
        store.close()
    text = "\n".join(story(trace or {}))
    assert "zai/zai as glm-4.6" in text
    assert "another provider stood in for anthropic: zai/zai with the model glm-4.6" in text
    assert [(e.account, e.data["across"], e.data["provider"]) for e in events] == [("zai/zai", True, "anthropic")]


async def test_what_was_refused_once_is_left_out_at_once(fake: FakeProvider, launch: Launch) -> None:
    """Back at home, the reasoning of the other provider costs one attempt, not one with each request; what the home
    itself has reasoned since then stays."""
    fake.play("home", steps.status(400, REFUSED_SIGNATURE, [("content-type", "application/json")]))
    proxy = await launch(config(known(fake, "anthropic", "home")))

    async def ask(messages: list[dict[str, Any]], session: str = "s1") -> tuple[int, list[str]]:
        body = {"model": "claude-x", "max_tokens": 9, "messages": messages}
        answer = await post(proxy, ANTHROPIC, body, x_claude_code_session_id=session)
        assert answer.status == 200
        sent = json.loads(fake.ledger.of("home")[-1].body)["messages"]
        blocks = [block for message in sent if isinstance(message["content"], list) for block in message["content"]]
        return told(answer)[1], [block["signature"] for block in blocks if block["type"] == "thinking"]

    def said(signature: str) -> dict[str, Any]:
        thinking = {"type": "thinking", "thinking": "hm", "signature": signature}
        return {"role": "assistant", "content": [thinking, {"type": "text", "text": "b"}]}

    user = {"role": "user", "content": "a"}
    assert await ask([user, said("zai-1"), user]) == (2, [])
    assert await ask([user, said("zai-1"), user, said("home-1"), user]) == (1, ["home-1"])
    assert await ask([user, said("home-2"), user]) == (1, ["home-2"]), "a child agent of the same session"
    assert await ask([user, said("zai-1"), user], "s2") == (1, ["zai-1"]), "another session has not been refused"


REFUSED_SIGNATURE = json.dumps(
    {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
        },
    }
)


async def test_a_socket_is_sent_to_http_where_another_provider_can_serve(fake: FakeProvider, launch: Launch) -> None:
    fake.play("openai", steps.rate_limited(retry_after=40))
    rows = matrix({"provider": "openrouter", "model": "o/r"})
    proxy = await launch(config(known(fake, "openai"), known(fake, "openrouter"), policy={"hold_ms": 0}, **rows))
    upgrade = [
        ("authorization", "Bearer CLIENT-OWN"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    async with await proxy.dial("api.openai.com") as client:
        answer = await client.request("GET", "/v1/responses", upgrade)
    assert answer.status == 426, answer.text
    assert not fake.ledger.of("openrouter")
    answer = await post(proxy, RESPONSES)
    assert told(answer)[0] == "openrouter"
