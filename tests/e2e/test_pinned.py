"""One account and no other: for a run, for a session, for models; and what the agent hears when it is out."""

from __future__ import annotations

import base64
import json
import time

from e2e.conftest import Launch
from e2e.harness import Proxy, config
from e2e.helpers import ANTHROPIC, accounts_of, told
from e2e.rawclient import RawAnswer, RawClient
from mitm_balancer.core.pins import user_of
from mitm_balancer.store import Store
from mitm_balancer.testing import FakeProvider, steps

HOUR = 3600.0


async def ask(proxy: Proxy, run: tuple[str, ...] = (), session: str = "", model: str = "claude-sonnet-4") -> RawAnswer:
    extra = []
    if run:
        extra.append(("Proxy-Authorization", "Basic " + base64.b64encode(f"{user_of(run)}:pinned".encode()).decode()))
    method, target, headers, body = ANTHROPIC.request(stream=False)
    if session:
        headers = [*headers, ("x-claude-code-session-id", session)]
    content = json.dumps(json.loads(body) | {"model": model}).encode()
    client = await RawClient.open(
        ANTHROPIC.host, 443, proxy=("127.0.0.1", proxy.port), context=proxy.context(), connect_headers=extra
    )
    async with client:
        return await client.request(method, target, headers, content)


async def test_a_run_goes_to_its_account_only(fake: FakeProvider, launch: Launch) -> None:
    proxy = await launch(config(*accounts_of(fake, "anthropic", 3)))
    run = ("openai/else", "anthropic/anthropic1")
    assert told(await ask(proxy, run)) == ("anthropic1", 1)
    assert told(await ask(proxy)) == ("anthropic0", 1), "others are not concerned"
    fake.play("anthropic1", steps.rate_limited(retry_after=HOUR))
    out = await ask(proxy, run)
    assert out.status == 429
    message = out.json()["error"]["message"]
    assert "anthropic/anthropic1 cannot serve now, and this run is pinned to it" in message
    assert "anthropic0" not in message
    assert told(await ask(proxy)) == ("anthropic0", 1)
    gone = await ask(proxy, ("anthropic/removed",))
    assert gone.status == 503
    assert "there is no such account" in gone.text
    assert not any(b"~" in value for record in fake.ledger for _, value in record.headers), "it is never forwarded"
    assert "pin~" not in proxy.output


async def test_models_and_sessions(fake: FakeProvider, launch: Launch) -> None:
    """In the file, and by a command while it runs; a session also by the fingerprint that its trace shows."""
    pins = {"priority": {"pins": [{"model": "claude-opus-*", "account": "anthropic/anthropic2"}]}}
    proxy = await launch(config(*accounts_of(fake, "anthropic", 3), **pins))
    assert told(await ask(proxy, model="claude-opus-4"))[0] == "anthropic2"
    first = await ask(proxy, session="s1")
    assert told(first)[0] == "anthropic0"
    store = Store.open(proxy.home)
    try:
        request_id = next(v for n, v in first.headers if n.lower() == b"x-balancer").decode()[8:20]
        deadline = time.monotonic() + 20
        while (trace := store.get_trace(request_id)) is None:
            assert time.monotonic() < deadline
        rows = [
            {"session": trace["session"], "account": "anthropic/anthropic1"},
            {"session": "s2", "account": "anthropic/anthropic2"},
        ]
        assert store.set_setting("pins", rows).result()
    finally:
        store.close()
    deadline = time.monotonic() + 20
    while told(await ask(proxy, session="s1"))[0] != "anthropic1":
        assert time.monotonic() < deadline, "a running proxy sees a change within a second"
    assert told(await ask(proxy, session="s2"))[0] == "anthropic2"
    assert told(await ask(proxy, session="s3"))[0] == "anthropic0"


async def test_a_run_may_be_pinned_to_another_provider_of_the_matrix(fake: FakeProvider, launch: Launch) -> None:
    """And only to such a one: a pin enables nothing."""
    rows = {"priority": {"providers": [{"provider": "zai", "model": "glm"}]}}
    accounts = [accounts_of(fake, name, 1)[0] for name in ("anthropic", "zai", "kimi")]
    proxy = await launch(config(*accounts, **rows))
    assert told(await ask(proxy, ("zai/zai0",))) == ("zai0", 1)
    assert json.loads(fake.ledger.of("zai0")[0].body)["model"] == "glm"
    assert told(await ask(proxy, ("kimi/kimi0",))) == ("anthropic0", 1)
