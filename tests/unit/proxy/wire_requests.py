"""Requests as mitmproxy gives them, for the tests of the wire."""

from __future__ import annotations

from mitmproxy import http

from mitm_balancer.providers import anthropic, gemini, openai
from mitm_balancer.providers.model import BEARER, Auth, CredentialForm
from mitm_balancer.proxy.wire import Carrier, carriers, leaving

type Fields = list[tuple[bytes, bytes]]

CLIENT = b"CLIENT-canary-7391"
ACCOUNT = "ACCOUNT-canary-2048"

PROVIDERS = (anthropic.PROVIDER, openai.PROVIDER, gemini.PROVIDER)
GONE = frozenset().union(*map(leaving, PROVIDERS))
NAMES = frozenset().union(*map(carriers, PROVIDERS))

X_API_KEY = Carrier(CredentialForm(Auth(header="x-api-key")), ACCOUNT)
BEARER_KEY = Carrier(CredentialForm(BEARER), ACCOUNT)
QUERY_KEY = Carrier(CredentialForm(Auth(query="key")), ACCOUNT)
ALL = (X_API_KEY, BEARER_KEY, QUERY_KEY)


def request(
    fields: Fields,
    path: bytes = b"/v1/messages",
    *,
    version: bytes = b"HTTP/1.1",
    method: bytes = b"POST",
    content: bytes | None = b"{}",
    authority: bytes = b"",
) -> http.Request:
    """To https://api.example, with these very header fields."""
    return http.Request(
        "api.example", 443, method, b"https", authority, path, version, http.Headers(fields), content, None, 0.0, 0.0
    )
