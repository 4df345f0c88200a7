"""From a credential to the bytes that renew it. Pure."""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass, field

from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.oauth.service import Form, TokenService


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent to the token endpoint; it holds the refresh token, so its repr shows none of it."""

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


def renewable(service: TokenService | None, credential: Credential | None) -> bool:
    """Whether this credential can be renewed at all.

    A GitHub token that is sent as it is (`secret` and `refresh` are one, without an end) is exchanged only once it was
    refused: not every one is taken as it is.
    """
    if service is None or credential is None or not credential.refresh or credential.kind != "oauth":
        return False
    return service.form is Form.EXCHANGE or bool(credential.extra.get("client_id", service.client_id))


def endpoint(service: TokenService, credential: Credential) -> str:
    """The account's own address, that of its GitHub Enterprise, or the provider's."""
    if url := credential.extra.get("token_url"):
        return url
    if service.form is Form.EXCHANGE and (domain := _domain(credential.extra.get("enterprise_url", ""))):
        return f"https://api.{domain}/copilot_internal/v2/token"
    return service.url


def line(service: TokenService, credential: Credential) -> str:
    """What has to stand in one line: refreshes with one client id at one endpoint come one after another."""
    return f"{endpoint(service, credential)} {credential.extra.get('client_id', service.client_id)}"


def question(service: TokenService, credential: Credential, client_secret: str = "") -> Question:
    """The refresh. It is to be sent on a connection of its own, which ends with it."""
    assert credential.refresh, "only what is renewable is renewed"
    url = endpoint(service, credential)
    token = credential.refresh.reveal()
    alone = ("connection", "close")
    if service.form is Form.EXCHANGE:
        return Question("GET", url, (("authorization", f"token {token}"), alone))
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": token,
        "client_id": credential.extra.get("client_id", service.client_id),
    }
    if client_secret:
        fields["client_secret"] = client_secret
    if service.form is Form.JSON:
        return Question("POST", url, (("content-type", "application/json"), alone), json.dumps(fields).encode())
    body = urllib.parse.urlencode(fields).encode()
    return Question("POST", url, (("content-type", "application/x-www-form-urlencoded"), alone), body)


def _domain(url: str) -> str:
    """`https://ghe.example/` and `ghe.example` are the same enterprise."""
    parts = urllib.parse.urlsplit(url if "//" in url else f"//{url}")
    return parts.hostname or ""
