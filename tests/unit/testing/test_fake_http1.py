"""The fake over HTTP/1.1: it says what the step says, and the ledger has what was really sent."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest

from e2e.rawclient import RawAnswer, RawClient
from mitm_balancer.testing import AcceptFault, FakeProvider, Step, steps

JSON = ("content-type", "application/json")
KEY = ("x-api-key", "KEY-A")


async def dial(fake: FakeProvider) -> RawClient:
    assert fake.ca is not None
    return await RawClient.open("127.0.0.1", fake.port, context=fake.ca.client_context())


async def ask(
    fake: FakeProvider, step: Step | None = None, *, stream: bool = True, path: str = "/v1/messages"
) -> RawAnswer:
    if step is not None:
        fake.play("a", step)
    body = json.dumps({"model": "m", "stream": stream}).encode()
    async with await dial(fake) as client:
        return await client.request("POST", path, [KEY, JSON], body)


async def test_the_ledger_holds_the_very_bytes(fake: FakeProvider) -> None:
    head = b"POST /v1/messages?beta=true HTTP/1.1\r\nhOsT: x\r\nX-Api-Key:KEY-A\r\nx-dup: 1\r\nX-Dup:  2 \r\n"
    raw = head + b"Transfer-Encoding: chunked\r\n\r\n"
    body = b'7;ext=1\r\n{"model\r\n5\r\n":"m"\r\n1\r\n}\r\n0\r\nx-trailer: t\r\n\r\n'
    async with await dial(fake) as client:
        await client.send(raw + body)
        assert (await client.read_answer()).status == 200
    record = fake.ledger[0]
    assert record.raw_head == raw
    assert record.raw_body == body
    assert record.body == b'{"model":"m"}'
    assert record.headers[1:4] == ((b"X-Api-Key", b"KEY-A"), (b"x-dup", b"1"), (b"X-Dup", b"2"))
    assert (record.label, record.method, record.target) == ("a", "POST", "/v1/messages?beta=true")


async def test_one_connection_for_many_requests_and_expect_continue(fake: FakeProvider) -> None:
    async with await dial(fake) as client:
        for _ in range(3):
            assert (await client.request("POST", "/v1/messages", [KEY], b"{}")).complete
        await client.start("POST", "/v1/messages", [KEY, ("expect", "100-continue"), ("content-length", "2")])
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"{}")
        assert (await client.read_answer()).status == 200
    assert [record.connection_id for record in fake.ledger] == [1, 1, 1, 1]
    assert fake.ledger.connections == 1
    assert all(record.finished and not record.client_gone for record in fake.ledger)


async def test_queue_then_default(fake: FakeProvider) -> None:
    fake.play("a", steps.rate_limited(), steps.ok(), then=steps.overloaded())
    statuses = [(await ask(fake)).status for _ in range(4)]
    assert statuses == [429, 200, 529, 529]
    assert fake.left("a") == 0


async def test_token_counts_and_models_leave_the_queue_alone(fake: FakeProvider) -> None:
    fake.play("a", steps.rate_limited())
    assert (await ask(fake, path="/v1/messages/count_tokens")).json() == {"input_tokens": 12}
    async with await dial(fake) as client:
        assert (await client.request("GET", "/v1/models", [KEY])).json()["data"][0]["id"] == "fake-model"
    assert fake.left("a") == 1
    assert not fake.ledger.accepted()


@pytest.mark.parametrize(
    ("carrier", "value", "target"),
    [
        ("authorization", "Bearer KEY-B", "/v1/messages"),
        ("x-api-key", "KEY-B", "/v1/messages"),
        ("api-key", "KEY-B", "/v1/chat/completions"),
        ("x-goog-api-key", "KEY-B", "/v1beta/models/m:generateContent"),
        ("?key", "", "/v1beta/models/m:generateContent?key=KEY-B"),
    ],
)
async def test_every_carrier_names_the_account(fake: FakeProvider, carrier: str, value: str, target: str) -> None:
    headers = [] if carrier == "?key" else [(carrier, value)]
    async with await dial(fake) as client:
        answer = await client.request("POST", target, headers, b"{}")
    assert "b:0" in answer.text
    assert (fake.ledger[0].label, fake.ledger[0].carriers) == ("b", (carrier,))


async def test_a_stranger_is_refused_and_two_carriers_are_told(fake: FakeProvider) -> None:
    async with await dial(fake) as client:
        answer = await client.request("POST", "/v1/messages", [("x-api-key", "nobody")], b"{}")
        assert (answer.status, answer.json()["error"]["type"]) == (401, "authentication_error")
        await client.request(
            "POST", "/v1/messages", [("x-api-key", "nobody"), ("authorization", "Bearer KEY-A")], b"{}"
        )
    assert fake.ledger[0].label is None
    assert not fake.ledger[0].accepted_generation
    assert (fake.ledger[1].label, fake.ledger[1].carriers) == ("a", ("authorization", "x-api-key"))


async def test_accepted_generations_per_test_id(fake: FakeProvider) -> None:
    fake.play("a", steps.rate_limited(), steps.reset_before_head(), steps.ok(), steps.error_first(), steps.cut(1))
    for _ in range(5):
        async with await dial(fake) as client:
            await client.start("POST", "/v1/messages", [KEY, ("X-Test-Id", "one")], b'{"stream":true}')
            try:
                await client.read_answer()
            except ConnectionResetError:
                assert fake.ledger[-1].step == "reset_before_head"
    assert fake.ledger.accepted() == {"one": 3}


async def test_the_ends_before_a_head(fake: FakeProvider) -> None:
    with pytest.raises(ConnectionResetError):
        await ask(fake, steps.reset_before_head())
    with pytest.raises(asyncio.IncompleteReadError):
        await ask(fake, steps.close_before_head())
    fake.on_accept(AcceptFault.RST, AcceptFault.FIN, AcceptFault.GARBAGE, AcceptFault.HANG)
    for _ in range(3):
        with pytest.raises(OSError):
            await ask(fake)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(fake), 0.1)
    assert (await ask(fake)).complete


@pytest.mark.parametrize("how", ["rst", "fin"])
@pytest.mark.parametrize("after", [-1, 0, 2])
async def test_cuts(fake: FakeProvider, how: str, after: int) -> None:
    answer = await ask(fake, steps.cut(after, how))
    assert (answer.status, answer.complete, answer.error) == (200, False, {"rst": "reset", "fin": "eof"}[how])
    assert answer.text.count("content_block_delta\n") == max(after, 0)
    assert ("message_start" in answer.text) == (after >= 0)
    assert not fake.ledger[0].finished


@pytest.mark.parametrize("how", ["rst", "fin"])
async def test_a_plain_body_is_cut_in_the_middle(fake: FakeProvider, how: str) -> None:
    answer = await ask(fake, steps.cut(1, how), stream=False)
    assert not answer.complete
    assert 0 < len(answer.body) < int(answer.header("content-length") or 0)


async def test_silence_slow_token_gap_and_stall(fake: FakeProvider) -> None:
    answer = await ask(fake, steps.ok(silence=0.1, head_pause=0.1, gap=0.1, events=2))
    record = fake.ledger[0]
    assert record.read_at is not None and record.head_at is not None
    assert record.head_at - record.read_at >= 0.1
    times = {data: at for at, data in answer.chunks}
    deltas = [at for data, at in times.items() if b"event: content_block_delta" in data]
    assert answer.chunks[0][0] - answer.head_at >= 0.09
    assert deltas[1] - deltas[0] >= 0.09
    stalled = await ask(fake, steps.stall(1, seconds=0.1))
    assert (stalled.complete, stalled.text.count("content_block_delta\n")) == (False, 1)


async def test_the_moment_a_client_leaves_is_seen(fake: FakeProvider) -> None:
    fake.play("a", steps.stall(1))
    client = await dial(fake)
    await client.start("POST", "/v1/messages", [KEY], b'{"stream":true}')
    answer = await client.read_head()
    async for piece in client.read_body(answer):
        if b"content_block_delta" in piece:
            break
    before = asyncio.get_running_loop().time()
    client.abort()
    await fake.until(lambda: fake.ledger[0].client_gone)
    gone_at = fake.ledger[0].gone_at
    assert gone_at is not None and 0 <= gone_at - before < 1
    assert not fake.ledger[0].finished


async def test_pings_error_events_malformed_and_missing_end(fake: FakeProvider) -> None:
    pinged = (await ask(fake, steps.pings(4))).text
    assert pinged.count("event: ping") == 5  # one belongs to the opening events
    assert pinged.index("event: ping") < pinged.index("content_block_delta")
    first = (await ask(fake, steps.error_first("rate_limit"))).text
    assert first.startswith("event: error\n") and "rate_limit_error" in first
    later = (await ask(fake, steps.error_after(1))).text
    assert later.count("content_block_delta\n") == 1 and later.rstrip().splitlines()[-2] == "event: error"
    broken = (await ask(fake, steps.malformed(1))).text
    assert broken.count("content_block_delta\n") == 4 and "message_stop" in broken
    endless = await ask(fake, steps.no_end_marker())
    assert endless.complete and "message_delta" in endless.text and "message_stop" not in endless.text


async def test_an_error_event_is_a_status_when_not_streamed(fake: FakeProvider) -> None:
    answer = await ask(fake, steps.error_first("rate_limit", wait=7), stream=False)
    assert (answer.status, answer.header("retry-after")) == (429, "7")


async def test_sizes_and_codings(fake: FakeProvider) -> None:
    big = await ask(fake, steps.big_body(1_200_000), stream=False)
    assert (big.complete, len(big.body), big.json()["type"]) == (True, 1_200_000, "message")
    assert fake.ledger[0].bytes_sent == 1_200_000
    giant = await ask(fake, steps.giant_line())
    assert max(map(len, giant.body.split(b"\n"))) > 2_000_000
    for stream in (True, False):
        zipped = await ask(fake, steps.gzipped(), stream=stream)
        assert zipped.header("content-encoding") == "gzip"
        assert "a:0" in gzip.decompress(zipped.body).decode()
    split = await ask(fake, steps.ok(split=7))
    assert max(len(data) for _, data in split.chunks) == 7
    assert "message_stop" in split.text


async def test_each_gzipped_event_can_be_read_when_it_comes(fake: FakeProvider) -> None:
    answer = await ask(fake, steps.gzipped())
    assert zlib.decompressobj(wbits=31).decompress(answer.chunks[0][1]).endswith(b"\n\n")


async def test_a_plain_body_can_be_broken_json(fake: FakeProvider) -> None:
    answer = await ask(fake, steps.malformed(), stream=False)
    assert answer.complete
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()


async def test_a_half_closed_plain_connection_counts_as_left() -> None:
    async with FakeProvider({"KEY-A": "a"}, ca=None) as fake:
        fake.play("a", steps.silence())
        async with await RawClient.open("127.0.0.1", fake.port) as client:
            await client.start("POST", "/v1/messages", [KEY], b"{}")
            await fake.until(lambda: len(fake.ledger) and fake.ledger[0].read_at)
            client.writer.write_eof()
            await fake.until(lambda: fake.ledger[0].client_gone)


async def test_odd_heads(fake: FakeProvider) -> None:
    odd = await ask(fake, steps.odd_headers())
    assert odd.all("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]
    assert b"X-ODD-cAsInG: kept\r\n" in odd.raw_head and b"x-latin: caf\xe9\r\n" in odd.raw_head
    informed = await ask(fake, steps.informational())
    assert [raw.split()[1] for raw in informed.informational] == [b"100", b"103"]
    trailing = await ask(fake, steps.ok(trailers=(("x-end", "1"),)))
    assert trailing.trailers == b"x-end: 1\r\n"
    own = await ask(fake, steps.ok(headers=(("Date", "Thu, 01 Jan 2026 00:00:00 GMT"),)))
    assert own.all("date") == ["Thu, 01 Jan 2026 00:00:00 GMT"]


async def test_raw_and_the_ends_of_connections(fake: FakeProvider) -> None:
    async with await dial(fake) as client:
        fake.play("a", steps.raw(b"HTTP/1.0 299 Odd\r\n\r\n", b"bytes"))
        answer = await client.request("POST", "/v1/messages", [KEY], b"{}")
        assert (answer.status, answer.body) == (299, b"bytes")
    for step, announced in ((steps.closing(), True), (steps.closing("silent"), False), (steps.until_eof(), True)):
        fake.play("a", step)
        async with await dial(fake) as client:
            answer = await client.request("POST", "/v1/messages", [KEY], b"{}")
            assert answer.complete
            assert (answer.header("connection") == "close") == announced
            assert await client.reader.read() == b""
    assert answer.header("content-length") is None and not answer.chunked


async def test_routes_come_before_credentials(fake: FakeProvider) -> None:
    fake.route("POST", "/v1/oauth/token", lambda record: steps.status(200, json.dumps({"got": record.body.decode()})))
    async with await dial(fake) as client:
        answer = await client.request("POST", "/v1/oauth/token?x=1", [], b"grant")
    assert (answer.status, answer.json()) == (200, {"got": "grant"})


async def test_dropped_connections(fake: FakeProvider) -> None:
    async with await dial(fake) as client:
        await client.request("POST", "/v1/messages", [KEY], b"{}")
        assert fake.open_connections == 1
        fake.drop_connections()
        with pytest.raises(ConnectionResetError):
            await client.request("POST", "/v1/messages", [KEY], b"{}")
