"""Codex speaks WebSocket to `/v1/responses`: the handshake is balanced, then frames go both ways."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Ping, Pong, TextMessage

from e2e.conftest import Launch
from e2e.harness import How, Proxy, config
from e2e.helpers import RESPONSES, accounts_of, key_of, told
from e2e.rawclient import RawAnswer, RawClient
from mitm_balancer.testing import FakeProvider, steps
from mitm_balancer.testing.step import Step
from mitm_balancer.testing.voices import ErrorKind

CREATE = json.dumps({"type": "response.create", "model": "gpt-5", "input": "hi"})


class Socket:
    """A WebSocket client over a raw connection."""

    def __init__(self, client: RawClient, answer: RawAnswer) -> None:
        self.client, self.answer = client, answer
        self._frames = Connection(ConnectionType.CLIENT)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, proxy: Proxy, session: str = "") -> AsyncIterator[Socket]:
        """The handshake as Codex makes it."""
        headers = [
            *([("session_id", session)] if session else []),
            RESPONSES.credential,
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", base64.b64encode(b"0123456789abcdef").decode()),
            ("OpenAI-Beta", "responses_websockets=2026-02-06"),
        ]
        async with await proxy.dial(RESPONSES.host) as client:
            await client.start("GET", RESPONSES.path, headers)
            yield cls(client, await client.read_head())

    async def send(self, event: TextMessage | Ping | CloseConnection) -> None:
        await self.client.send(self._frames.send(event))

    async def events(self, until: str = "") -> list[object]:
        """All that comes, up to a text that contains `until`, a pong, or the close."""
        found: list[object] = []
        async with asyncio.timeout(5):
            while True:
                data = await self.client.reader.read(65536)
                self._frames.receive_data(data or None)
                for event in self._frames.events():
                    found.append(event)
                    if isinstance(event, (CloseConnection, Pong)):
                        return found
                    if isinstance(event, TextMessage) and until and until in event.data:
                        return found
                if not data:
                    return found


def said_in(events: list[object]) -> list[str]:
    return [event.data for event in events if isinstance(event, TextMessage)]


async def test_frames_go_both_ways_with_the_accounts_credential(fake: FakeProvider, launch: Launch, how: How) -> None:
    """101 with `x-balancer`; text, ping and a whole streamed response pass; the client's close reaches the provider.

    The client's own credential never leaves.
    """
    fake.play("openai0", steps.ok(events=4, gap=0.05))
    proxy = await launch(config(*accounts_of(fake, "openai", 2)), how=how)
    async with Socket.open(proxy) as socket:
        assert (socket.answer.status, told(socket.answer)) == (101, ("openai0", 1))
        await socket.send(TextMessage(data="hello"))
        assert said_in(await socket.events("hello")) == ["openai0: hello"]
        await socket.send(Ping(payload=b"p"))
        assert isinstance((await socket.events())[-1], Pong)
        await socket.send(TextMessage(data=CREATE))
        texts = said_in(await socket.events("response.completed"))
        assert "openai0:0" in next(text for text in texts if "output_text.delta" in text)
        await socket.send(CloseConnection(code=1000))
        assert isinstance((await socket.events())[-1], CloseConnection)
    record = fake.ledger[0]
    await fake.until(lambda: record.finished)
    assert (record.label, record.carriers) == ("openai0", ("authorization",))
    assert record.messages == ["hello", CREATE]
    assert record.header(b"openai-beta") == "responses_websockets=2026-02-06"
    keys = [value for name, value in record.headers if name.lower() == b"authorization"]
    assert keys == [f"Bearer {key_of('openai0')}".encode()]
    assert "CLIENT-OWN" not in str(record.headers)


async def test_a_refused_handshake_goes_to_the_next_account(fake: FakeProvider, launch: Launch, how: How) -> None:
    """429 to the upgrade: the client sees a 101 from the second account; a third handshake goes straight there."""
    fake.play("openai0", steps.rate_limited(retry_after=600))
    proxy = await launch(config(*accounts_of(fake, "openai", 2)), how=how)
    for attempts in (2, 1):
        async with Socket.open(proxy) as socket:
            assert (socket.answer.status, told(socket.answer)) == (101, ("openai1", attempts))
            await socket.send(TextMessage(data="hello"))
            assert said_in(await socket.events("hello")) == ["openai1: hello"]
    assert [record.label for record in fake.ledger] == ["openai0", "openai1", "openai1"]


async def test_the_end_of_either_side_is_the_end_of_both(fake: FakeProvider, launch: Launch) -> None:
    """The provider's connection dies: the client hears of it at once; the client's dies: so does the provider's."""
    fake.play("openai0", steps.cut(1), steps.ok())
    proxy = await launch(config(*accounts_of(fake, "openai", 1)))
    async with Socket.open(proxy) as socket:
        await socket.send(TextMessage(data=CREATE))
        events = await socket.events()
        assert any("response.created" in text for text in said_in(events))
        assert not any("response.completed" in text for text in said_in(events))
    async with Socket.open(proxy) as socket:
        await socket.send(TextMessage(data="hello"))
        await socket.events("hello")
        socket.client.abort()
        await fake.until(lambda: fake.ledger[-1].client_gone or fake.ledger[-1].finished, timeout=5)


async def test_a_refusal_of_the_request_comes_back_as_it_is(fake: FakeProvider, launch: Launch) -> None:
    """400 to the upgrade: the client sees it, and the connection carries a plain request afterwards."""
    fake.play("openai0", steps.invalid(), steps.ok())
    proxy = await launch(config(*accounts_of(fake, "openai", 2)))
    async with Socket.open(proxy) as socket:
        assert socket.answer.status == 400
        async for _ in socket.client.read_body(socket.answer):
            pass
        assert "error" in socket.answer.json()
        after = await socket.client.request(*RESPONSES.request(stream=True))
        assert (after.status, told(after)) == (200, ("openai0", 1))


def close_code(events: list[object]) -> int | None:
    return next((int(event.code) for event in events if isinstance(event, CloseConnection)), None)


async def test_a_limit_inside_the_socket_moves_the_client(fake: FakeProvider, launch: Launch) -> None:
    """The frame is kept back, the socket closes with 1012, and the next handshake is the other account's."""
    fake.play("openai0", steps.error_first(ErrorKind.QUOTA, wait=3600))
    proxy = await launch(config(*accounts_of(fake, "openai", 2)))
    async with Socket.open(proxy) as socket:
        await socket.send(TextMessage(data=CREATE))
        events = await socket.events()
        assert close_code(events) == 1012
        assert not any("error" in text for text in said_in(events))
    async with Socket.open(proxy) as socket:
        assert told(socket.answer) == ("openai1", 1)


async def test_a_limit_inside_the_only_accounts_socket_is_told_by_us(fake: FakeProvider, launch: Launch) -> None:
    """Codex would sleep for the hour that the frame names; our refusal of the handshake makes it ask over HTTP, where
    it hears at once who is out until when."""
    fake.play("openai0", steps.error_first(ErrorKind.QUOTA, wait=3600))
    proxy = await launch(config(*accounts_of(fake, "openai", 1)))
    async with Socket.open(proxy) as socket:
        await socket.send(TextMessage(data=CREATE))
        assert close_code(await socket.events()) == 1012
    async with Socket.open(proxy) as socket:
        assert socket.answer.status == 426
    answer = await _ask_over_http(proxy)
    assert answer.status == 429
    assert "insufficient_quota" in str(answer.json())


async def test_a_short_limit_of_the_only_account_is_the_providers_word(fake: FakeProvider, launch: Launch) -> None:
    """A client waits for some seconds by itself."""
    fake.play("openai0", steps.error_first(ErrorKind.RATE_LIMIT, wait=5))
    proxy = await launch(config(*accounts_of(fake, "openai", 1)))
    async with Socket.open(proxy) as socket:
        await socket.send(TextMessage(data=CREATE))
        assert any('"error"' in text for text in said_in(await socket.events("error")))


@pytest.mark.parametrize("step", [steps.error_first(ErrorKind.OVERLOADED), steps.cut(1)], ids=["overloaded", "cut"])
async def test_a_session_that_is_cut_short_tries_another_account(
    fake: FakeProvider, launch: Launch, step: Step
) -> None:
    """With its next handshake; other sessions are not concerned, for nothing benches the account."""
    fake.play("openai0", step, steps.ok())
    proxy = await launch(config(*accounts_of(fake, "openai", 2)))
    async with Socket.open(proxy, session="s1") as socket:
        assert told(socket.answer) == ("openai0", 1)
        await socket.send(TextMessage(data=CREATE))
        await socket.events('"type":"error"')
    for session, alias in (("s2", "openai0"), ("s1", "openai1"), ("s1", "openai1")):
        async with Socket.open(proxy, session=session) as socket:
            assert told(socket.answer) == (alias, 1), session


async def test_who_hangs_up_or_idles_is_not_cut_short(fake: FakeProvider, launch: Launch) -> None:
    """The client's end in the middle of an answer, and the provider's end between two, mean nothing."""
    fake.play("openai0", steps.ok(events=200, gap=0.05), steps.cut(2))
    proxy = await launch(config(*accounts_of(fake, "openai", 2)))
    async with Socket.open(proxy, session="s1") as socket:
        await socket.send(TextMessage(data=CREATE))
        await socket.events("response.created")
        socket.client.abort()
    await fake.until(lambda: fake.ledger[-1].client_gone or fake.ledger[-1].finished, timeout=5)
    async with Socket.open(proxy, session="s1") as socket:
        assert told(socket.answer) == ("openai0", 1)


async def _ask_over_http(proxy: Proxy) -> RawAnswer:
    async with await proxy.dial(RESPONSES.host) as client:
        return await client.request(*RESPONSES.request(stream=True))
