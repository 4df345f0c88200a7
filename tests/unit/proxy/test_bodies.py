"""What goes out as a body, and what is heard of an answer."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import brotli
import pytest
import zstandard
from wire_requests import request

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.proxy import bodies
from mitm_balancer.proxy.overheard import ROOM, Overheard
from mitm_balancer.upstream.base import ConnInfo, Origin, RawHeaders, WireRequest

ORIGIN = Origin("https", "x", 443)

REASONING = {"type": "reasoning", "encrypted_content": "gAAA"}
BODY = json.dumps({"input": [REASONING, {"type": "message"}]}).encode()
LEFT = json.dumps({"input": [{"type": "message"}]}).encode()

CODINGS = {
    "gzip": (gzip.compress, gzip.decompress),
    "deflate": (zlib.compress, zlib.decompress),
    "br": (brotli.compress, brotli.decompress),
    "zstd": (zstandard.compress, lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
}


@pytest.mark.parametrize("coding", sorted(CODINGS))
def test_a_coded_body_stays_coded(coding: str) -> None:
    """The head says how it is coded, and the head stays."""
    code, decode = CODINGS[coding]
    made = bodies.without_reasoning(
        request([(b"content-encoding", coding.encode())], content=code(BODY)), Dialect.OPENAI_RESPONSES
    )
    assert made is not None
    assert (decode(made.body), made.count) == (LEFT, 1)


@pytest.mark.parametrize("coding", [b"zstd", b"gzip", b"unheard-of"])
def test_a_body_that_cannot_be_read_stays(coding: bytes) -> None:
    made = request([(b"content-encoding", coding)], content=BODY)
    assert bodies.without_reasoning(made, Dialect.OPENAI_RESPONSES) is None


@pytest.mark.parametrize("content", [None, b"", b"{}", LEFT])
def test_nothing_to_take_out(content: bytes | None) -> None:
    assert bodies.without_reasoning(request([], content=content), Dialect.OPENAI_RESPONSES) is None


def measured(body: Any, *fields: tuple[bytes, bytes]) -> RawHeaders:
    return bodies.measured(WireRequest(ORIGIN, b"POST", b"/", fields, body)).headers


def test_the_length_is_that_of_the_body() -> None:
    """An account id that is longer than the client's once left the provider waiting, or reading too far."""
    fields = ((b"Content-Length", b"9"), (b"x-content-length", b"9"))
    assert measured(b"12", *fields) == ((b"Content-Length", b"2"), (b"x-content-length", b"9"))
    assert measured(b"x" * 9, *fields) == fields
    assert measured(object(), *fields) == fields, "what is streamed is as long as the client says"
    chunked = (b"transfer-encoding", b"chunked")
    assert measured(b"12", chunked) == (chunked,)


class Scripted:
    """An answer in these pieces."""

    status, reason, http_version = 200, b"OK", b"HTTP/1.1"
    headers: RawHeaders = ()
    trailers: RawHeaders = ()
    info = ConnInfo(ORIGIN)

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [*pieces, b""]
        self.closed = False

    async def read(self) -> bytes:
        return self.pieces.pop(0)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("prefix", "pieces", "expected"),
    [
        (b"", [b"ab", b"cd"], b"abcd"),
        (b"00", [b"ab"], b"00ab"),
        (b"", [], b""),
        (b"", [b"x" * ROOM, b"late"], b"x" * ROOM),
        (b"p", [b"x" * (ROOM + 5)], b"p" + b"x" * (ROOM - 1)),
    ],
)
async def test_the_beginning_is_heard_once_and_all_passes(prefix: bytes, pieces: list[bytes], expected: bytes) -> None:
    heard: list[bytes] = []
    inner = Scripted(*pieces)
    response = Overheard(inner, heard.append, prefix)
    passed = [data async for data in _all(response)]
    assert passed == pieces
    assert heard == [expected]
    inner.trailers = ((b"late", b"1"),)
    assert response.trailers == inner.trailers, "they come with the end"
    response.close()
    assert inner.closed


async def _all(response: Overheard) -> AsyncIterator[bytes]:
    while data := await response.read():
        yield data
