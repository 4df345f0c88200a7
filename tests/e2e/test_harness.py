"""The harness itself, against mitmdump without the addon and with it: it starts, serves, tells and ends."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from e2e.conftest import Launch
from e2e.harness import How, account, config, run_sdk, start_proxy
from e2e.rawclient import ProxyRefusedError
from mitm_balancer.testing import CA, FakeProvider, steps

BODY = json.dumps({"model": "m", "stream": True, "max_tokens": 9, "messages": []}).encode()


async def test_plain_mitmdump_carries_h1_and_ends_on_sigterm(fake: FakeProvider, launch: Launch) -> None:
    proxy = await launch(how="plain")
    async with await proxy.dial("127.0.0.1", fake.port) as client:
        for _ in range(2):
            answer = await client.request("POST", "/v1/messages", [("x-api-key", "KEY-A")], BODY)
            assert (answer.status, answer.complete) == (200, True)
    assert [record.label for record in fake.ledger] == ["a", "a"]
    text = await proxy.stop()
    assert "listening at" in text and "/v1/messages" in text
    assert proxy.process.returncode == 0


async def test_plain_mitmdump_carries_h2_on_both_sides(fake_ca: CA, tmp_path: Path) -> None:
    async with (
        FakeProvider({"KEY-A": "a"}, ca=fake_ca, http2=True) as fake,
        start_proxy(tmp_path, fake=fake, how="plain") as proxy,
        await proxy.dial_h2("127.0.0.1", fake.port) as client,
    ):
        answers = [client.request("POST", "/v1/messages", [("x-api-key", "KEY-A")], BODY) for _ in range(5)]
        for answer in await asyncio.gather(*answers):
            assert (answer.status, answer.complete, answer.text.count("text_delta")) == (200, True, 3)
        assert [record.http_version for record in fake.ledger] == ["HTTP/2"] * 5


async def test_a_start_that_fails_tells_why(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nonsense"):
        async with start_proxy(tmp_path, how="plain", args=["--set", "listen_port=nonsense"]):
            pass


async def test_a_refused_connect_is_told(launch: Launch) -> None:
    proxy = await launch(how="plain", args=["--set", "proxyauth=u:p"])
    with pytest.raises(ProxyRefusedError, match="407"):
        await proxy.dial("127.0.0.1", 9)


async def test_a_real_host_name_reaches_the_fake(fake: FakeProvider, launch: Launch, how: How) -> None:
    fake.play("a", steps.rate_limited(retry_after=60))
    text = config(account("anthropic", "a", "KEY-A", fake), account("anthropic", "b", "KEY-B", fake, priority=1))
    proxy = await launch(text, how=how)
    async with await proxy.dial("api.anthropic.com") as client:
        answer = await client.request("POST", "/v1/messages", [("x-api-key", "mine"), ("x-test-id", "1")], BODY)
    assert answer.status == 200 and "b:0" in answer.text
    assert [record.label for record in fake.ledger] == ["a", "b"]
    assert fake.ledger.accepted() == {"1": 1}


async def test_an_sdk_runs_through_the_proxy(fake: FakeProvider, launch: Launch) -> None:
    proxy = await launch(config(account("anthropic", "a", "KEY-A", fake)))
    script = """
import anthropic
message = anthropic.Anthropic().messages.create(
    model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
print(message.model_dump_json())
"""
    done = await run_sdk(script, proxy, {"ANTHROPIC_API_KEY": "mine"})
    assert done.code == 0, done.err
    assert done.json()["content"][0]["text"].startswith("a:0")


async def test_a_hang_up_is_seen(fake: FakeProvider, launch: Launch) -> None:
    fake.play("a", steps.stall(1))
    proxy = await launch(how="plain", args=["--set", "stream_large_bodies=1"])
    client = await proxy.dial("127.0.0.1", fake.port)
    await client.start("POST", "/v1/messages", [("x-api-key", "KEY-A")], BODY)
    await client.read_head()
    client.abort()
    await fake.until(lambda: fake.ledger[0].client_gone)
