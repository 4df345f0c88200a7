"""The fake over WebSocket and HTTP/2."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, RejectConnection, Request, TextMessage

from e2e.h2client import H2Client
from e2e.rawclient import RawClient
from mitm_balancer.testing import CA, FakeProvider, steps


class Socket:
    """A WebSocket client, sans-io inside."""

    def __init__(self, raw: RawClient) -> None:
        self.raw, self.ws = raw, WSConnection(ConnectionType.CLIENT)
        self.events: list[Event] = []

    async def upgrade(self) -> Event:
        """Ask for it, and the answer."""
        key = [(b"authorization", b"Bearer KEY-A")]
        await self.send(Request(host="x", target="/backend-api/codex/responses", extra_headers=key))
        return await self.next()

    async def send(self, event: Event) -> None:
        await self.raw.send(self.ws.send(event))

    async def next(self) -> Event:
        while not self.events:
            data = await self.raw.reader.read(65536)
            if not data:
                raise EOFError
            self.ws.receive_data(data)
            self.events.extend(self.ws.events())
        return self.events.pop(0)


@pytest.fixture
async def socket(fake: FakeProvider) -> AsyncIterator[Socket]:
    assert fake.ca is not None
    async with await RawClient.open("127.0.0.1", fake.port, context=fake.ca.client_context()) as raw:
        yield Socket(raw)


async def test_echo_names_the_account(fake: FakeProvider, socket: Socket) -> None:
    assert isinstance(await socket.upgrade(), AcceptConnection)
    await socket.send(TextMessage(data="hello"))
    message = await socket.next()
    assert isinstance(message, TextMessage) and message.data == "a: hello"
    await socket.send(CloseConnection(code=1000))
    assert isinstance(await socket.next(), CloseConnection)
    await fake.until(lambda: fake.ledger[0].finished)
    assert (fake.ledger[0].status, fake.ledger[0].messages) == (101, ["hello"])
    assert not fake.ledger[0].accepted_generation


async def create(socket: Socket) -> None:
    assert isinstance(await socket.upgrade(), AcceptConnection)
    await socket.send(TextMessage(data=json.dumps({"type": "response.create", "model": "m"})))


async def test_a_response_comes_as_frames(fake: FakeProvider, socket: Socket) -> None:
    await create(socket)
    kinds: list[str] = []
    while "response.completed" not in kinds:
        message = await socket.next()
        assert isinstance(message, TextMessage)
        kinds.append(json.loads(message.data)["type"])
    assert kinds[0] == "response.created" and kinds.count("response.output_text.delta") == 3
    assert fake.ledger[0].accepted_generation


async def test_a_limit_inside_the_socket(fake: FakeProvider, socket: Socket) -> None:
    fake.play("a", steps.error_first("quota", wait=60))
    await create(socket)
    message = await socket.next()
    assert isinstance(message, TextMessage)
    frame = json.loads(message.data)
    assert (frame["type"], frame["status"], frame["error"]["type"]) == ("error", 429, "usage_limit_reached")
    assert frame["headers"]["x-codex-primary-reset-after-seconds"] == "60"
    assert not fake.ledger[0].accepted_generation


async def test_a_cut_inside_the_socket(fake: FakeProvider, socket: Socket) -> None:
    fake.play("a", steps.cut(1))
    await create(socket)
    with pytest.raises(ConnectionResetError):
        while True:
            await socket.next()


async def test_a_refused_upgrade(fake: FakeProvider, socket: Socket) -> None:
    fake.play("a", steps.status(426))
    refusal = await socket.upgrade()
    assert isinstance(refusal, RejectConnection) and refusal.status_code == 426


@pytest.fixture
async def h2_fake(fake_ca: CA) -> AsyncIterator[FakeProvider]:
    async with FakeProvider({"KEY-A": "a"}, ca=fake_ca, http2=True) as provider:
        yield provider


@pytest.fixture
async def h2(h2_fake: FakeProvider) -> AsyncIterator[H2Client]:
    assert h2_fake.ca is not None
    async with await H2Client.open("localhost", h2_fake.port, context=h2_fake.ca.client_context()) as client:
        yield client


KEY = [("x-api-key", "KEY-A"), ("x-test-id", "t")]
STREAM = b'{"stream":true}'


async def test_h2_streams_run_side_by_side(h2_fake: FakeProvider, h2: H2Client) -> None:
    h2_fake.play("a", then=steps.ok(gap=0.05))
    answers = await asyncio.gather(*(h2.request("POST", "/v1/messages", KEY, STREAM) for _ in range(10)))
    assert all(answer.complete and answer.text.count("text_delta") == 3 for answer in answers)
    assert h2_fake.ledger.accepted() == {"t": 10}
    assert h2_fake.ledger.connections == 1
    record = h2_fake.ledger[0]
    assert (record.http_version, record.method, record.target, record.body) == (
        "HTTP/2",
        "POST",
        "/v1/messages",
        STREAM,
    )
    last_start = max(record.at for record in h2_fake.ledger)
    assert all(record.ended_at is not None and record.ended_at > last_start for record in h2_fake.ledger)


async def test_h2_big_bodies_need_the_window(h2_fake: FakeProvider, h2: H2Client) -> None:
    h2_fake.play("a", steps.big_body(1_200_000))
    answer = await h2.request("POST", "/v1/messages", KEY, b'{"pad":"' + b"x" * 300_000 + b'"}')
    assert (answer.complete, len(answer.body)) == (True, 1_200_000)
    assert len(h2_fake.ledger[0].body) == 300_010


async def test_h2_faults(h2_fake: FakeProvider, h2: H2Client) -> None:
    h2_fake.play("a", steps.cut(1), steps.rate_limited(3), steps.informational(103), steps.ok(trailers=(("x-t", "1"),)))
    cut = await h2.request("POST", "/v1/messages", KEY, STREAM)
    assert cut.error.startswith("reset") and cut.text.count("text_delta") == 1
    limited = await h2.request("POST", "/v1/messages", KEY, STREAM)
    assert (limited.status, limited.header("retry-after")) == (429, "3")
    informed = await h2.request("POST", "/v1/messages", KEY, STREAM)
    assert len(informed.informational) == 1
    assert (await h2.request("POST", "/v1/messages", KEY, STREAM)).trailers == [(b"x-t", b"1")]
    h2_fake.play("a", steps.close_before_head())
    assert (await h2.request("POST", "/v1/messages", KEY, STREAM)).error in ("goaway", "eof")


async def test_h2_cancelled_stream_is_seen_and_the_connection_lives(h2_fake: FakeProvider, h2: H2Client) -> None:
    h2_fake.play("a", steps.stall(1))
    answer = await h2.start("POST", "/v1/messages", KEY, STREAM)
    async for piece in h2.pieces(answer):
        if b"text_delta" in piece:
            break
    await h2.cancel(answer)
    await h2_fake.until(lambda: h2_fake.ledger[0].client_gone)
    assert (await h2.request("POST", "/v1/messages", KEY, STREAM)).complete
