"""What one account made is asked of that account, whoever is active, also after a restart; refused reasoning is taken
out and the same account asked again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard

from e2e.conftest import Launch
from e2e.harness import Proxy, account, config
from e2e.helpers import told, until
from e2e.rawclient import RawAnswer
from mitm_balancer.testing import FakeProvider, steps
from mitm_balancer.testing.ask import AskKind
from mitm_balancer.testing.step import Framing

OPENAI, ANTHROPIC, GEMINI = "api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com"
FILE = "file-BK7bzQj3FfZFXr7DbL6xJwfo"
JSON = ("content-type", "application/json")


def two(fake: FakeProvider, provider: str, **sections: Any) -> str:
    """The accounts a and b, in this order."""
    return config(account(provider, "a", "KEY-A", fake), account(provider, "b", "KEY-B", fake), **sections)


async def ask(
    proxy: Proxy, host: str, method: str, path: str, body: Any = None, *headers: tuple[str, str]
) -> RawAnswer:
    """One request on a connection of its own, with the client's own credential."""
    own = ("x-api-key", "CLIENT") if host == ANTHROPIC else ("authorization", "Bearer CLIENT")
    if host == GEMINI:
        own = ("x-goog-api-key", "CLIENT")
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    async with await proxy.dial(host) as client:
        return await client.request(method, path, [own, JSON, *headers], data)


async def move_to_b(proxy: Proxy, fake: FakeProvider) -> None:
    """`a` hits a limit, so `b` is the active account from here on."""
    fake.play("a", steps.rate_limited(retry_after=1))
    answer = await ask(proxy, OPENAI, "POST", "/v1/responses", {"model": "gpt-5", "input": "hi"})
    assert told(answer) == ("b", 2)


def labels(fake: FakeProvider) -> list[str | None]:
    """Whom the requests went to since the last call."""
    seen = [record.label for record in fake.ledger]
    fake.ledger.clear()
    return seen


def makes_a_file(fake: FakeProvider, label: str, *, framing: str = "auto", coding: str = "") -> None:
    body = json.dumps({"object": "file", "id": FILE, "filename": "x"}).encode()
    step = steps.ok(body=body, headers=(JSON,), framing=Framing(framing), coding=coding)
    fake.play(label, step, kind=AskKind.OTHER)


@pytest.mark.parametrize(("framing", "coding"), [("auto", ""), ("chunked", ""), ("chunked", "gzip")])
async def test_a_file_is_asked_of_who_took_it(fake: FakeProvider, launch: Launch, framing: str, coding: str) -> None:
    """By its path, and by its id inside an inference; what is active stays active; what nobody made goes there."""
    proxy = await launch(two(fake, "openai"))
    makes_a_file(fake, "a", framing=framing, coding=coding)
    made = await ask(proxy, OPENAI, "POST", "/v1/files", b"multipart")
    assert (told(made)[0], made.json()["id"] if not coding else FILE) == ("a", FILE)
    await move_to_b(proxy, fake)
    labels(fake)
    speaks_of_it = {"role": "user", "content": [{"type": "input_file", "file_id": FILE}]}
    for method, path, body, expected in (
        ("GET", f"/v1/files/{FILE}/content", None, "a"),
        ("GET", f"/v1/files?after={FILE}", None, "a"),
        ("POST", "/v1/responses", {"model": "gpt-5", "input": [speaks_of_it]}, "a"),
        ("POST", "/v1/batches", {"input_file_id": FILE, "endpoint": "/v1/responses"}, "a"),
        ("POST", "/v1/responses", {"model": "gpt-5", "input": f'"file_id": "{FILE}"'}, "b"),
        ("GET", "/v1/files/file-nobody-knows-this-1", None, "b"),
        ("DELETE", f"/v1/files/{FILE}", None, "a"),
    ):
        answer = await ask(proxy, OPENAI, method, path, body)
        assert told(answer) == (expected, 1), (method, path)
        assert labels(fake) == [expected], (method, path)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_response_is_continued_where_it_was_made(fake: FakeProvider, launch: Launch, stream: bool) -> None:
    """Even when that account refuses: its own answer is the truth, another one cannot know what came before."""
    proxy = await launch(two(fake, "openai"))
    first = await ask(proxy, OPENAI, "POST", "/v1/responses", {"model": "gpt-5", "input": "hi", "stream": stream})
    assert told(first) == ("a", 1)
    made = f"resp_fake{fake.ledger[0].number:08d}"
    assert made in first.text
    await move_to_b(proxy, fake)
    labels(fake)
    follow = {"model": "gpt-5", "input": "more", "previous_response_id": made, "stream": stream}
    second = await ask(proxy, OPENAI, "POST", "/v1/responses", follow)
    assert told(second) == ("a", 1)
    fake.play("a", steps.rate_limited(retry_after=600))
    refused = await ask(proxy, OPENAI, "POST", "/v1/responses", follow)
    assert (refused.status, told(refused)) == (429, ("a", 1))
    assert labels(fake) == ["a", "a"]
    unknown = await ask(proxy, OPENAI, "POST", "/v1/responses", follow | {"previous_response_id": "resp_nobody00001"})
    assert told(unknown) == ("b", 1)
    fetched = await ask(proxy, OPENAI, "GET", f"/v1/responses/{made}")
    assert told(fetched)[0] == "a"


async def test_a_restart_forgets_nothing_and_the_disk_tells_nothing(
    fake: FakeProvider, launch: Launch, tmp_path: Path
) -> None:
    """Killed, not stopped. Nothing on the disk holds the id itself."""
    proxy = await launch(two(fake, "openai"))
    makes_a_file(fake, "a")
    await ask(proxy, OPENAI, "POST", "/v1/files", b"multipart")
    with closing(sqlite3.connect(proxy.home / "balancer.sqlite")) as db:  # the store shares commits
        await until(lambda: db.execute("SELECT 1 FROM owners").fetchall(), "the owner on the disk")
    await proxy.kill()
    with closing(sqlite3.connect(proxy.home / "balancer.sqlite")) as db:
        assert [account for (account,) in db.execute("SELECT account FROM owners")] == ["openai/a"]
    files = [path for path in proxy.home.iterdir() if path.is_file() and "sqlite" in path.name]
    assert files and not any(FILE.encode() in path.read_bytes() for path in files)
    again = await launch(
        config(account("openai", "b", "KEY-B", fake), account("openai", "a", "KEY-A", fake)), folder=tmp_path
    )
    answer = await ask(again, OPENAI, "GET", f"/v1/files/{FILE}")
    assert told(answer)[0] == "a"
    assert told(await ask(again, OPENAI, "GET", "/v1/files/file-nobody-knows-this-1"))[0] == "b"


async def test_google_names_files_and_caches_with_their_collection(fake: FakeProvider, launch: Launch) -> None:
    """Bound by path, by `cachedContent`, and by the URI of a file."""
    proxy = await launch(two(fake, "gemini"))
    body = json.dumps({"file": {"name": "files/mine", "uri": f"https://{GEMINI}/v1beta/files/mine"}}).encode()
    fake.play("b", steps.ok(body=body, headers=(JSON,)), kind=AskKind.OTHER)
    fake.play("a", steps.rate_limited(retry_after=1))
    path = "/v1beta/models/gemini-2.5-flash:generateContent"
    hello = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert told(await ask(proxy, GEMINI, "POST", path, hello)) == ("b", 2)
    assert told(await ask(proxy, GEMINI, "POST", "/upload/v1beta/files", b"bytes"))[0] == "b"
    await asyncio.sleep(1.2)
    await proxy.stop()
    # Somebody was put ahead, so `b` is not the account in use any more.
    fake.labels["KEY-C"] = "c"
    accounts = [account("gemini", alias, f"KEY-{alias.upper()}", fake) for alias in ("c", "a", "b")]
    again = await launch(config(*accounts), folder=proxy.log.parent)
    labels(fake)
    part = {"fileData": {"mimeType": "text/plain", "fileUri": f"https://{GEMINI}/v1beta/files/mine"}}
    with_file = {"contents": [{"role": "user", "parts": [part]}]}
    assert told(await ask(again, GEMINI, "POST", path, with_file)) == ("b", 1)
    assert told(await ask(again, GEMINI, "GET", "/v1beta/files/mine"))[0] == "b"
    assert told(await ask(again, GEMINI, "POST", path, hello)) == ("c", 1)
    assert labels(fake) == ["b", "b", "c"]


async def test_the_state_of_a_turn_stays_with_its_account(fake: FakeProvider, launch: Launch) -> None:
    """The turn goes on where it began while that account serves; elsewhere its state would mean nothing."""
    proxy = await launch(two(fake, "codex"))
    state = ("x-codex-turn-state", "OPAQUE-TURN-STATE")
    path, body = "/backend-api/codex/responses", {"model": "gpt-5", "input": "hi", "stream": True}
    fake.play("a", steps.ok(headers=(state,)), steps.ok(), steps.rate_limited(retry_after=600))
    first = await ask(proxy, "chatgpt.com", "POST", path, body)
    assert (told(first), first.header("x-codex-turn-state")) == (("a", 1), "OPAQUE-TURN-STATE")
    second = await ask(proxy, "chatgpt.com", "POST", path, body, state)
    third = await ask(proxy, "chatgpt.com", "POST", path, body, state)
    fourth = await ask(proxy, "chatgpt.com", "POST", path, body, ("x-codex-turn-state", "of-nobody"))
    assert [told(answer) for answer in (second, third, fourth)] == [("a", 1), ("b", 2), ("b", 1)]
    carried = [(r.label, r.header(b"x-codex-turn-state")) for r in fake.ledger]
    assert carried == [
        ("a", None), ("a", state[1]), ("a", state[1]), ("b", None), ("b", "of-nobody"),
    ]  # fmt: skip
    dump = b"".join(path.read_bytes() for path in proxy.home.iterdir() if path.is_file())
    assert b"OPAQUE-TURN-STATE" not in dump


SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}


async def test_thinking_that_is_refused_is_taken_out_once(fake: FakeProvider, launch: Launch) -> None:
    """The same account answers, byte for byte without the blocks; the trace says so."""
    proxy = await launch(two(fake, "anthropic"))
    text = {"type": "text", "text": "é \u2028"}
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [THOUGHT, text]}]
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 9, "thinking": {"type": "enabled"}, "messages": messages}
    messages_left = [messages[0], {"role": "assistant", "content": [text]}]
    fake.play("a", steps.failing("invalid", message=SIGNATURE))
    answer = await ask(proxy, ANTHROPIC, "POST", "/v1/messages", asked)
    assert (answer.status, told(answer)) == (200, ("a", 2))
    bodies = [record.body for record in fake.ledger]
    assert bodies == [json.dumps(asked).encode(), json.dumps(asked | {"messages": messages_left}).encode()]
    assert [record.label for record in fake.ledger] == ["a", "a"]
    assert fake.ledger[1].header(b"content-length") == str(len(bodies[1]))
    with closing(sqlite3.connect(proxy.home / "balancer.sqlite")) as db:
        await until(lambda: db.execute("SELECT 1 FROM traces").fetchall(), "the trace on the disk")
        (trace,) = db.execute("SELECT record FROM traces ORDER BY seq DESC LIMIT 1").fetchone()
    assert json.loads(trace)["stripped"] == "1 thinking blocks"


async def test_a_refusal_that_stays_is_passed_on(fake: FakeProvider, launch: Launch) -> None:
    """Twice refused, or nothing to take out: the provider's own 400, and no third try."""
    proxy = await launch(two(fake, "anthropic"))
    fake.play("a", then=steps.failing("invalid", message=SIGNATURE))
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    nothing = await ask(proxy, ANTHROPIC, "POST", "/v1/messages", asked)
    assert (nothing.status, told(nothing)) == (400, ("a", 1))
    thought = {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "x"}]}
    twice = await ask(
        proxy,
        ANTHROPIC,
        "POST",
        "/v1/messages",
        asked | {"messages": [*asked["messages"], thought]},  # type: ignore[misc]
    )
    assert (twice.status, told(twice)) == (400, ("a", 2))
    assert SIGNATURE in twice.json()["error"]["message"]
    assert [record.label for record in fake.ledger] == ["a", "a", "a"]


@pytest.mark.parametrize("coding", ["", "zstd"])
async def test_reasoning_that_is_refused_is_taken_out_once(fake: FakeProvider, launch: Launch, coding: str) -> None:
    """Codex compresses its bodies: they go out compressed the same way."""
    proxy = await launch(two(fake, "codex"))
    items = [{"type": "reasoning", "encrypted_content": "gAAA"}, {"type": "message", "role": "user", "content": "hi"}]
    asked = {"model": "gpt-5", "stream": True, "input": items}
    error = {"error": {"code": "invalid_encrypted_content", "message": "could not be verified", "type": "x"}}
    fake.play("a", steps.status(400, json.dumps(error), headers=(JSON,)))
    data = json.dumps(asked).encode()
    headers = [("content-encoding", coding)] if coding else []
    body = zstandard.compress(data) if coding else data
    answer = await ask(proxy, "chatgpt.com", "POST", "/backend-api/codex/responses", body, *headers)
    assert (answer.status, told(answer)) == (200, ("a", 2))
    sent = [zstandard.ZstdDecompressor().decompressobj().decompress(r.body) if coding else r.body for r in fake.ledger]
    assert sent == [data, json.dumps(asked | {"input": items[1:]}).encode()]
