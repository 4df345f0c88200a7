"""The head and the body of a request as bytes, and what the fields say of a body's framing."""

from __future__ import annotations

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import RawHeaders, UpstreamError, WireRequest


def serialise_head(request: WireRequest) -> bytes:
    """The request line and fields as given. Raises UpstreamError(stage="write") when one could smuggle a line: a
    credential read from a file with its newline, say, for which another account is the cure."""
    lines = [b"%s %s HTTP/1.1\r\n" % (request.method, request.target)]
    lines += [b"%s: %s\r\n" % field for field in request.headers]
    lines.append(b"\r\n")
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise UpstreamError("write", "a header of the request holds CR, LF or NUL", sent=Sent.NOTHING)
    return head


def is_chunked(headers: RawHeaders) -> bool:
    return any(name.lower() == b"transfer-encoding" and b"chunked" in value.lower() for name, value in headers)


def frame(body: bytes, chunked: bool) -> bytes:
    if not chunked:
        return body
    return (frame_chunk(body) if body else b"") + b"0\r\n\r\n"


def frame_chunk(chunk: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(chunk), chunk) if chunk else b""


def has_length(headers: RawHeaders) -> bool:
    return any(name.lower() == b"content-length" for name, _ in headers)
