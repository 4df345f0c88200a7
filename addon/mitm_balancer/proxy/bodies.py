"""What an attempt's body is: the client's bytes, with what belongs to the account in them, or without what its
provider has refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Container

from mitmproxy import http
from mitmproxy.net import encoding

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.strip import Stripped, strip
from mitm_balancer.providers.edits import edit_body
from mitm_balancer.proxy.runtime import Account
from mitm_balancer.upstream.base import WireRequest


def for_account(body: bytes, request: http.Request, account: Account) -> bytes:
    """The body with the account's own ids in it. A coded body stays as it is."""
    if account.edits_body and "content-encoding" not in request.headers:
        return edit_body(account.provider, account.identity, body)
    return body


def without_reasoning(
    request: http.Request, dialect: Dialect, parts: Container[bytes] | None = None
) -> Stripped | None:
    """The request's body without its signed or encrypted reasoning, coded as it came (Codex: zstd); None: it has none
    or cannot be read. `parts` as in `strip`."""
    try:
        made = strip(dialect, request.get_content(strict=True) or b"", parts)
        if made is None or "content-encoding" not in request.headers:
            return made
        coded = encoding.encode(made.body, request.headers["content-encoding"])
    except ValueError:
        return None
    return dataclasses.replace(made, body=coded)


def measured(request: WireRequest) -> WireRequest:
    """The request with the length that its body has now; what is streamed keeps the client's word for it."""
    if not isinstance(request.body, bytes):
        return request
    now = b"%d" % len(request.body)
    if all(value == now for name, value in request.headers if name.lower() == b"content-length"):
        return request
    headers = tuple((n, now if n.lower() == b"content-length" else v) for n, v in request.headers)
    return dataclasses.replace(request, headers=headers)
