"""The body of a request: what the client sent, and what the next attempt sends of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mitmproxy import http

from mitm_balancer.core.strip import Stripped
from mitm_balancer.proxy.outlet import Upload

type Body = bytes | AsyncIterator[bytes]


class Payload:
    """One request's."""

    def __init__(self) -> None:
        self.kept_back: bytes | None = None
        """The body of a request that is not balanced: no flow shows it."""
        self.upload: Upload | None = None
        """A body too large to keep, on its way through."""
        self.stripped: Stripped | None = None
        """The body without what a provider has refused."""
        self.again: bytes | None = None
        """The body that goes on with a broken answer."""

    @property
    def once(self) -> bool:
        """Whether it can be sent only once."""
        return self.upload is not None

    @property
    def spent(self) -> bool:
        """Whether some of it has gone and cannot be had again."""
        return self.upload is not None and self.upload.used

    def original(self, request: http.Request) -> Body:
        """As the client sent it."""
        if self.upload is not None:
            return self.upload.chunks()
        return (request.raw_content if self.kept_back is None else self.kept_back) or b""

    def whole(self, request: http.Request) -> bytes:
        """What attempts send of a body that can be sent again."""
        assert self.upload is None
        body = self.original(request) if self.stripped is None else self.stripped.body
        assert isinstance(body, bytes)
        return body

    def next(self, request: http.Request) -> Body:
        """For the next attempt."""
        if self.again is not None:
            return self.again
        return self.original(request) if self.upload is not None else self.whole(request)

    def size(self, request: http.Request) -> int | None:
        """Bytes; None: it is still coming."""
        return None if self.upload is not None else len(request.raw_content or b"")

    def discard(self) -> None:
        """Nobody wants the rest of it."""
        if self.upload is not None:
            self.upload.discard()
