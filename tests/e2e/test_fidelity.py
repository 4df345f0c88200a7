"""Both sides get what they would have got without us, but for the credential."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from typing import Any

import pytest
import zstandard

from e2e.conftest import Launch
from e2e.harness import How, Proxy, account, config
from e2e.helpers import told
from e2e.rawclient import RawAnswer, RawClient
from mitm_balancer.testing import CA, FakeProvider, Framing, Record, Step, steps

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "gr\u00fc\u00df dich \u20ac"}]}).encode()

ODD_HEADERS = [
    ("X-UPPER-and-lower", "Kept As It Is"),
    ("content-TYPE", "application/json; charset=utf-8"),
    ("x-dup", "1"),
    ("Accept-Encoding", "gzip, br, zstd"),
    ("X-Dup", "2"),
    ("x-empty", ""),
    ("x-latin", "caf\xe9"),
    ("x-tab", "a\tb"),
    ("x-colons", "a:b: c"),
    ("x_!#$%&'*+^`|~.9", "every character that a name may have"),
    ("anthropic-beta", "one,two"),
    ("User-Agent", "odd/1.0 (a; b) c"),
    ("x-long", "y" * 8000),
]

TARGETS = (
    "/v1/messages",
    "/v1/messages?beta=true",
    "/v1/messages?a=%2F&b=%2f&c=+%20&d&=e&f=%E2%82%AC&g=%zz&h=a=b&&i=",
    "/v1/mess%61ges;v=1",
    "/v1/%2e%2e/./x//y",
    "/v1/messages?",
    "/v1/a%0Ab%00",
    "/v1/~!$&'()*,;=:@|{}[]^",
)

BODIES: dict[str, tuple[str, list[tuple[str, str]], bytes | None]] = {
    "post": ("POST", [], BODY),
    "post empty": ("POST", [], b""),
    "post no json": ("POST", [], b'\xff\xfe{"model":'),
    "post gzip": ("POST", [("Content-Encoding", "gzip")], gzip.compress(BODY, mtime=0)),
    "post zstd": ("POST", [("content-encoding", "zstd")], zstandard.compress(BODY)),
    "post deflate that is none": ("POST", [("content-encoding", "deflate")], BODY),
    "put": ("PUT", [], BODY),
    "patch": ("PATCH", [], BODY),
    "get": ("GET", [], None),
    "get with a body": ("GET", [], b"{}"),
    "head": ("HEAD", [], None),
    "delete": ("DELETE", [], None),
    "options": ("OPTIONS", [], None),
}


def _corp(fake: FakeProvider, **more: Any) -> dict[str, Any]:
    """A provider that claims the fake's own address, so that even Host is the same with the proxy and without."""
    return {"hosts": [f"127.0.0.1:{fake.port}"], "dialect": "anthropic-messages", "auth": "x-api-key"} | more


async def _direct(fake: FakeProvider) -> RawClient:
    assert fake.ca is not None
    return await RawClient.open("127.0.0.1", fake.port, context=fake.ca.client_context())


async def _both(
    fake: FakeProvider, proxy: Proxy, method: str, target: str, headers: Any, body: bytes | None
) -> tuple[tuple[Record, RawAnswer], tuple[Record, RawAnswer]]:
    """The same request directly with the account's key, and through the proxy with the client's own."""
    results = []
    for direct, key in ((True, "KEY-A"), (False, "CLIENT-OWN")):
        fake.ledger.clear()
        signed = [*headers[:3], ("x-api-key", key), *headers[3:]]
        client = await (_direct(fake) if direct else proxy.dial("127.0.0.1", fake.port))
        async with client:
            answer = await client.request(method, target, signed, body)
        assert len(fake.ledger) == 1
        results.append((fake.ledger[0], answer))
    return results[0], results[1]


async def test_the_provider_gets_the_very_bytes(fake: FakeProvider, launch: Launch, how: How) -> None:
    """Order, casing, duplicates, odd names and values, targets, methods, coded bodies: the same head, the same body.

    Only the credential's value differs; no header is added, none is lost.
    """
    corp = _corp(fake, paths=["/*"])
    proxy = await launch(config(account("corp", "a", "KEY-A"), providers={"corp": corp}), how=how)
    cases = [(target, *BODIES["post"]) for target in TARGETS] + [("/v1/messages", *case) for case in BODIES.values()]
    for target, method, more, body in cases:
        (plain, _), (ours, answer) = await _both(fake, proxy, method, target, [*ODD_HEADERS, *more], body)
        assert ours.raw_head == plain.raw_head, (method, target)
        assert ours.raw_body == plain.raw_body, (method, target)
        assert (ours.label, ours.carriers) == ("a", ("x-api-key",))
        assert told(answer) == ("a", 1)


async def test_another_base_url_changes_host_and_nothing_else(fake: FakeProvider, launch: Launch) -> None:
    """With `base_url` the Host field names it, in its place."""
    corp = {"hosts": ["llm.example"], "dialect": "anthropic-messages", "auth": "x-api-key", "paths": ["/*"]}
    proxy = await launch(config(account("corp", "a", "KEY-A", fake), providers={"corp": corp}))
    async with await proxy.dial("llm.example") as client, await _direct(fake) as straight:
        for target in TARGETS:
            await client.request("POST", target, [*ODD_HEADERS, ("x-api-key", "CLIENT-OWN")], BODY)
            await straight.request("POST", target, [*ODD_HEADERS, ("x-api-key", "KEY-A")], BODY)
            assert fake.ledger[-2].raw_head == fake.ledger[-1].raw_head
            assert fake.ledger[-2].raw_body == fake.ledger[-1].raw_body


async def test_a_chunked_request_stays_chunked(fake: FakeProvider, launch: Launch) -> None:
    """The framing headers and the body are the client's; where the chunks are cut is this hop's."""
    corp = _corp(fake, paths=["/*"])
    proxy = await launch(config(account("corp", "a", "KEY-A"), providers={"corp": corp}))
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:])) + b"0\r\n\r\n"
    headers = [*ODD_HEADERS, ("Transfer-Encoding", "chunked")]
    (plain, _), (ours, answer) = await _both(fake, proxy, "POST", "/v1/messages", headers, chunked)
    assert ours.raw_head == plain.raw_head
    assert ours.body == plain.body == BODY
    assert answer.status == 200


async def test_an_h2_client_is_heard_the_same(fake: FakeProvider, launch: Launch) -> None:
    """The fields of an h2 request in their order, Host from its authority, a content-length only if it had one."""
    corp = _corp(fake, paths=["/*"])
    proxy = await launch(config(account("corp", "a", "KEY-A"), providers={"corp": corp}))
    headers = [(name.lower(), value) for name, value in ODD_HEADERS if value.isascii()]
    async with await proxy.dial_h2("127.0.0.1", fake.port) as client, await _direct(fake) as straight:
        for target, body in itertools.product(TARGETS[:3], (BODY, gzip.compress(BODY, mtime=0))):
            answer = await client.request("POST", target, [*headers, ("x-api-key", "CLIENT-OWN")], body)
            assert answer.status == 200
            await straight.request("POST", target, [*headers, ("x-api-key", "KEY-A")], body)
            ours, plain = fake.ledger[-2], fake.ledger[-1]
            assert [(n.lower(), v) for n, v in ours.headers] == [(n.lower(), v) for n, v in plain.headers]
            assert (ours.target, ours.body) == (plain.target, plain.body)


async def test_the_hop_is_ours(fake: FakeProvider, launch: Launch) -> None:
    """Hop-by-hop fields of the client's connection end here (RFC 9110 7.6.1), and nothing takes their place."""
    corp = _corp(fake, paths=["/*"])
    proxy = await launch(config(account("corp", "a", "KEY-A"), providers={"corp": corp}))
    hop = [("Proxy-Connection", "keep-alive"), ("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("X-Mine", "1")]
    async with await proxy.dial("127.0.0.1", fake.port) as client:
        headers = [("x-api-key", "CLIENT-OWN"), *hop, ("Connection", "close, x-mine"), ("x-kept", "1")]
        answer = await client.request("POST", "/v1/messages", headers, BODY)
    names = [name.decode().lower() for name, _ in fake.ledger[0].headers]
    assert names == ["host", "x-api-key", "x-kept", "content-length"]
    assert answer.status == 200


async def test_the_control_plane_is_the_clients_own(fake: FakeProvider, launch: Launch) -> None:
    """A path that is not balanced passes with the client's own credential: the same head, the same body, no trace."""
    corp = _corp(fake, paths=["/v1/messages"])
    proxy = await launch(config(account("corp", "a", "KEY-A"), providers={"corp": corp}))
    for name, (method, more, body) in BODIES.items():
        headers = [*ODD_HEADERS, *more, ("Authorization", "Bearer CLIENT-OWN"), ("cookie", "session=CLIENT-OWN")]
        async with await proxy.dial("127.0.0.1", fake.port) as client, await _direct(fake) as straight:
            answer = await client.request(method, "/api/oauth/profile?key=CLIENT-OWN&x=%2F", headers, body)
            await straight.request(method, "/api/oauth/profile?key=CLIENT-OWN&x=%2F", headers, body)
        ours, plain = fake.ledger[-2], fake.ledger[-1]
        assert (ours.raw_head, ours.raw_body) == (plain.raw_head, plain.raw_body), name
        assert not answer.all("x-balancer"), name


FIXED = (("date", "Sat, 22 Nov 2025 00:00:00 GMT"), ("request-id", "req_1"))

ANSWERS: dict[str, tuple[str, Step]] = {
    "odd headers": ("POST", steps.odd_headers(body=b'{"ok":true}')),
    "gzip": ("POST", steps.gzipped(body=b'{"ok":true}' * 50)),
    "gzip body, length": ("POST", steps.ok(body=gzip.compress(BODY, mtime=0), headers=(("Content-Encoding", "gzip"),))),
    "gzip that is none": ("POST", steps.ok(body=BODY, headers=(("Content-Encoding", "gzip"),))),
    "chunked": ("POST", steps.ok(body=BODY, framing=Framing.CHUNKED)),
    "not json": ("POST", steps.ok(body=bytes(range(256)), headers=(("content-type", "application/octet-stream"),))),
    "empty": ("POST", steps.ok(body=b"")),
    "no content": ("POST", steps.raw(b"HTTP/1.1 204 Nothing To Say\r\nX-Odd: 1\r\n\r\n")),
    "own reason": ("POST", steps.raw(b"HTTP/1.1 200 Very Fine\r\nX-Odd: 1\r\nContent-Length: 2\r\n\r\n{}")),
    "no reason": ("POST", steps.raw(b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n{}")),
    "redirect": ("POST", steps.raw(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")),
    "not modified": ("GET", steps.raw(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')),
    "head": ("HEAD", steps.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nX-Odd: 1\r\n\r\n")),
    "refusal": ("POST", steps.status(400, b'{"odd":"error"}', [("X-Odd", "1"), ("retry-after", "7")])),
    "big": ("POST", steps.ok(body=bytes(3_000_000))),
}


async def test_the_client_gets_the_very_bytes(fake: FakeProvider, launch: Launch, how: How) -> None:
    """Status, reason, headers in order and casing, duplicates, coded bodies: as the provider sent them.

    One header is added, `x-balancer`, exactly once.
    """
    corp = _corp(fake, paths=["/*"])
    proxy = await launch(config(account("corp", "a", "KEY-A"), providers={"corp": corp}), how=how)
    for case, (method, step) in ANSWERS.items():
        fixed = step if step.raw else step.but(headers=(*FIXED, *step.headers))
        fake.play("a", fixed, fixed)
        (_, plain), (_, ours) = await _both(
            fake, proxy, method, "/v1/messages", ODD_HEADERS, BODY if method == "POST" else None
        )
        assert told(ours)[0] == "a", case
        assert _without_ours(ours) == plain.raw_head, case
        assert (ours.body, ours.complete) == (plain.body, plain.complete), case


def _without_ours(answer: RawAnswer) -> bytes:
    lines = answer.raw_head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"x-balancer:"))


@pytest.mark.parametrize("value", [b"a\rb", b"a\0b"], ids=["CR", "NUL"])
async def test_a_field_that_could_smuggle_is_the_requests_fault(
    fake: FakeProvider, launch: Launch, value: bytes
) -> None:
    """No attempt is made of it, and it counts for no account (P6), however often it comes."""
    proxy = await launch(config(account("anthropic", "a", "KEY-A", fake)))
    for _ in range(6):  # five faults in a row open a breaker
        async with await proxy.dial("api.anthropic.com") as client:
            client.writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: api.anthropic.com\r\nx-api-key: c\r\n")
            client.writer.write(b"content-length: 2\r\nx-odd: " + value + b"\r\n\r\n{}")
            answer = await client.read_answer("POST")
        assert answer.status == 400
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert told(answer) == ("none", 0)
    assert not len(fake.ledger)
    async with await proxy.dial("api.anthropic.com") as client:
        answer = await client.request("POST", "/v1/messages", [("x-api-key", "client")], b'{"model":"m"}')
    assert told(answer) == ("a", 1)


async def test_our_own_field_is_said_once(fake: FakeProvider, launch: Launch) -> None:
    """Another balancer on the way has set one of its own: `why` here knows nothing of it."""
    fake.play("a", steps.ok().but(headers=(("X-Balancer", "request=other; account=x; attempts=3"),)))
    proxy = await launch(config(account("anthropic", "a", "KEY-A", fake)))
    async with await proxy.dial("api.anthropic.com") as client:
        answer = await client.request("POST", "/v1/messages", [("x-api-key", "client")], b'{"model":"m"}')

    (field,) = [value for name, value in answer.headers if name.lower() == b"x-balancer"]
    assert b"account=a; attempts=1" in field


async def test_streams_are_the_same_bytes(fake_ca: CA, fake: FakeProvider, launch: Launch) -> None:
    """A stream cut in odd places, with a giant line, gzipped: the bytes are the provider's, to the last one."""
    corp = _corp(fake, paths=["/*"])
    proxy = await launch(config(account("corp", "a", "KEY-A"), providers={"corp": corp}))
    stream = json.dumps({"model": "m", "stream": True}).encode()
    for step in (steps.ok(split=7), steps.giant_line(), steps.gzipped(events=20), steps.pings(3), steps.malformed()):
        fake.play("a", step, step)
        (_, plain), (_, ours) = await _both(fake, proxy, "POST", "/v1/messages", ODD_HEADERS, stream)
        assert _numberless(ours.body) == _numberless(plain.body), step.name
        assert ours.complete and plain.complete


def _numberless(body: bytes) -> bytes:
    """Without the fake's running numbers."""
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    return re.sub(rb"(msg|req)_fake\d+", b"id", body)
