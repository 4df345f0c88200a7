"""Content codings undone for reading: incremental, bounded, and never an exception."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mitm_balancer.core.decoding import Decoder, decode

CODERS: list[tuple[str, Any]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("br", brotli.compress),
    ("zstd", zstandard.compress),
]


@pytest.mark.parametrize(("name", "encode"), CODERS)
def test_a_bomb_yields_no_more_than_the_bound(name: str, encode: Any) -> None:
    """64 MiB of blanks in some KiB: what is decoded at all stays near the bound."""
    bomb = encode(b"begin" + b" " * (64 << 20))
    assert len(bomb) < 100_000
    assert len(decode(bomb, name, limit=10_000)) == 10_000
    decoder = Decoder(name, limit=10_000)
    assert decoder.feed(bomb).startswith(b"begin")
    assert decoder.blind and decoder.feed(bomb) == b""


@pytest.mark.parametrize(("name", "encode"), CODERS)
def test_a_bomb_is_not_unpacked_beyond_the_bound(name: str, encode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even inside: the step itself hands over little more than was asked for."""
    bomb = encode(b" " * (64 << 20))
    step = Decoder(name)._steps[0]
    assert len(step(bomb, 10_000)) <= 9 << 20


@pytest.mark.parametrize(("name", "encode"), CODERS)
def test_each_byte_alone(name: str, encode: Any) -> None:
    text = b"data: one\n\ndata: two\n\n"
    decoder = Decoder(name)
    assert b"".join(decoder.feed(bytes([byte])) for byte in encode(text)) == text
    assert not decoder.blind


@pytest.mark.parametrize("name", ["", "identity", "Identity , identity"])
def test_no_coding_is_no_work(name: str) -> None:
    decoder = Decoder(name)
    assert decoder.feed(b"x" * 10) == b"x" * 10 and not decoder.blind


@given(st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, zstd", "unheard-of"]), st.lists(st.binary(max_size=60)))
def test_total(name: str, chunks: list[bytes]) -> None:
    decoder = Decoder(name)
    for chunk in chunks:
        assert isinstance(decoder.feed(chunk), bytes)
