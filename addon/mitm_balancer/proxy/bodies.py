"""What an attempt's body is: the client's bytes, with what belongs to the account in them, or without what its
provider has refused."""

from __future__ import annotations

from mitmproxy import http
from mitmproxy.net import encoding

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.strip import Stripped, strip
from mitm_balancer.providers.edits import edit_body
from mitm_balancer.proxy.runtime import Account
from mitm_balancer.upstream.base import RawHeaders


def for_account(body: bytes, request: http.Request, account: Account) -> bytes:
    """The body with the account's own ids in it. A coded body stays as it is."""
    if account.edits_body and "content-encoding" not in request.headers:
        return edit_body(account.provider, account.identity, body)
    return body


def without_reasoning(request: http.Request, dialect: Dialect) -> Stripped | None:
    """The request's body without its signed or encrypted reasoning, coded as it came (Codex: zstd); None: it has none
    or cannot be read."""
    try:
        made = strip(dialect, request.get_content(strict=True) or b"")
        if made is None or "content-encoding" not in request.headers:
            return made
        coded = encoding.encode(made.body, request.headers["content-encoding"])
    except ValueError:
        return None
    return Stripped(coded, made.count, made.what)


def with_length(headers: RawHeaders, body: object) -> RawHeaders:
    """The fields with the length that the body has now; what is streamed keeps the client's word for it."""
    if not isinstance(body, bytes):
        return headers
    length = b"%d" % len(body)
    return tuple((n, length if n.lower() == b"content-length" and v != length else v) for n, v in headers)
