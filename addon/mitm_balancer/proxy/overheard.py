"""A response whose beginning is copied as it passes: the bytes go on as they came and when they came."""

from __future__ import annotations

from collections.abc import Callable

from mitm_balancer.upstream.base import ConnInfo, RawHeaders, UpstreamResponse

ROOM = 64 * 1024
"""Bytes copied: ids stand at the beginning of an object, and a page of a list fits."""


class Overheard:
    """An UpstreamResponse around another. `hear` gets the beginning once, when it is over or large enough."""

    def __init__(self, inner: UpstreamResponse, hear: Callable[[bytes], None], prefix: bytes = b"") -> None:
        self._inner = inner
        self._hear = hear
        self._parts: list[bytes] = [prefix]
        self._room = ROOM - len(prefix)
        self.status = inner.status
        self.reason = inner.reason
        self.http_version = inner.http_version
        self.headers: RawHeaders = inner.headers
        self.info: ConnInfo = inner.info

    @property
    def trailers(self) -> RawHeaders:
        return self._inner.trailers

    @trailers.setter
    def trailers(self, value: RawHeaders) -> None:
        self._inner.trailers = value

    async def read(self) -> bytes:
        data = await self._inner.read()
        if self._parts:
            self._parts.append(data)
            self._room -= len(data)
            if not data or self._room <= 0:
                start, self._parts = b"".join(self._parts), []
                self._hear(start[:ROOM])
        return data

    def close(self) -> None:
        self._inner.close()
