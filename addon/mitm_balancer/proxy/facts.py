"""What routing needs to know about a request, read from a copy; the bytes themselves are never touched."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import msgspec
from mitmproxy import http

from mitm_balancer.providers.model import Dialect
from mitm_balancer.proxy import fields, references
from mitm_balancer.proxy.session import Body, Named, named

_GEMINI_MODEL = re.compile(r"/models/([^/:]+)(?::(\w+))?")


@dataclass(frozen=True, slots=True)
class Facts:
    """Empty strings where nothing was found."""

    model: str = ""
    stream: bool = False
    refers: tuple[str, ...] = ()
    """Ids of stored resources that the body names, the one that binds most first."""
    session: Named | None = field(default=None, compare=False)
    """What the request calls its session; None: nothing tells."""


class _Body(Body):
    # `object`: whatever else a client puts there, decoding goes on.
    model: object = None
    stream: object = None
    previous_response_id: object = None
    previous_interaction_id: object = None
    conversation: object = None
    container: object = None


_decoder = msgspec.json.Decoder(_Body)


def read(request: http.Request, dialect: Dialect) -> Facts:
    """Total: a body that is not JSON, or is compressed wrongly, gives empty facts."""
    content = decoded(request)
    body = None if dialect is Dialect.GEMINI or not content else _body(content)
    return replace(_read(request, content, body, dialect), session=named(request, content, body))


def _body(content: bytes) -> _Body | None:
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _read(request: http.Request, content: bytes | None, body: _Body | None, dialect: Dialect) -> Facts:
    if dialect is Dialect.GEMINI:
        found = _GEMINI_MODEL.search(request.path.partition("?")[0])
        refers = references.nested(content, dialect) if content else ()
        if found is None:
            return Facts(refers=refers)
        return Facts(found[1], (found[2] or "").startswith("stream"), refers)
    if not content or body is None:
        return Facts()
    told = (body.previous_response_id, body.previous_interaction_id, body.conversation, body.container)
    refers = tuple(name for value in told if value is not None for name in references.of_field(value))
    return Facts(
        body.model if isinstance(body.model, str) else "",
        body.stream is True,
        refers + references.nested(content, dialect),
    )


def decoded(request: http.Request) -> bytes | None:
    """The body without its content coding (Codex sends zstd); None when it cannot be read."""
    if not request.raw_content or fields.first(request.headers.fields, b"content-encoding") is None:
        return request.raw_content
    try:
        return request.get_content(strict=True)
    except ValueError:
        return None
