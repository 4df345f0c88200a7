"""Content codings undone for reading only: the bytes that pass through are never these.

The output of one feed is bounded, so a hostile body cannot fill the memory; what was decoded until the bound is kept,
because a cut error body still says something.
"""

from __future__ import annotations

import zlib
from typing import Any, Protocol

MAX_DECODED = 8 * 1024 * 1024
"""Bytes that one feed yields at most; a decoder that reaches it yields nothing more."""

# A zstd block of 4 bytes can decode to 128 KiB, so a slice of this size decodes to 8 MiB at most.
_ZSTD_SLICE = 256


class _Step(Protocol):
    def __call__(self, data: bytes, room: int, /) -> bytes: ...


class Decoder:
    """Incremental: `feed` gives what the bytes so far decode to. Unknown codings yield nothing and are `blind`."""

    def __init__(self, content_encoding: str = "", *, limit: int = MAX_DECODED) -> None:
        names = [name.strip().lower() for name in content_encoding.split(",")]
        steps = [_step(name) for name in reversed(names) if name not in ("", "identity")]
        self.blind = any(step is None for step in steps)
        self._steps = [step for step in steps if step is not None]
        self._limit = limit

    def feed(self, data: bytes) -> bytes:
        """What `data` adds to the decoded stream."""
        if not self._steps and not self.blind:
            return data
        if self.blind or not data:
            return b""
        for step in self._steps:
            try:
                data = step(data, self._limit)
            except _ERRORS:
                self.blind = True
                return b""
        self.blind = bool(self._steps) and len(data) >= self._limit
        return data[: self._limit]


def decode(body: bytes, content_encoding: str, *, limit: int = MAX_DECODED) -> bytes:
    """The whole body decoded as far as it goes; as it came when the coding is unknown or a lie."""
    if not content_encoding:
        return body
    return Decoder(content_encoding, limit=limit).feed(body) or body


def _step(name: str) -> _Step | None:
    if name in ("gzip", "x-gzip"):
        return _zlib(16 + zlib.MAX_WBITS)
    if name == "deflate":
        return _deflate()
    if name == "br":
        return _brotli()
    if name == "zstd":
        return _zstd()
    return None


def _zlib(wbits: int) -> _Step:
    machine = zlib.decompressobj(wbits)

    def step(data: bytes, room: int) -> bytes:
        return machine.decompress(data, room)

    return step


def _deflate() -> _Step:
    """Servers disagree whether `deflate` has the zlib wrapper: its first byte decides."""
    inner: list[_Step] = []

    def step(data: bytes, room: int) -> bytes:
        if not inner:
            inner.append(_zlib(zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS))
        return inner[0](data, room)

    return step


def _brotli() -> _Step | None:
    if _brotli_module is None:
        return None
    machine = _brotli_module.Decompressor()

    def step(data: bytes, room: int) -> bytes:
        return bytes(machine.process(data, output_buffer_limit=room) if _BROTLI_BOUNDED else machine.process(data))

    return step


def _zstd() -> _Step | None:
    if _zstd_module is None:
        return None
    machine = _zstd_module.ZstdDecompressor(max_window_size=2**27).decompressobj()

    def step(data: bytes, room: int) -> bytes:
        out = bytearray()
        for start in range(0, len(data), _ZSTD_SLICE):
            out += machine.decompress(data[start : start + _ZSTD_SLICE])
            if len(out) >= room:
                break
        return bytes(out)

    return step


def _optional(name: str) -> Any:
    """mitmproxy brings both; without them those codings are passed through unread."""
    try:
        return __import__(name)
    except ImportError:
        return None


_brotli_module = _optional("brotli")
_zstd_module = _optional("zstandard")
_BROTLI_BOUNDED = _brotli_module is not None and hasattr(_brotli_module.Decompressor, "can_accept_more_data")
_ERRORS: tuple[type[Exception], ...] = (
    zlib.error,
    *((_brotli_module.error,) if _brotli_module is not None else ()),
    *((_zstd_module.ZstdError,) if _zstd_module is not None else ()),
)
