"""Which credential a request brought, as far as it can become an account. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mitm_balancer.accounts.importing.codex import chatgpt
from mitm_balancer.accounts.importing.model import BadEntryError
from mitm_balancer.accounts.importing.reading import token
from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.shapes import complaint, kind_of
from mitm_balancer.providers.model import Provider

SHORTEST = 20
"""Characters: no provider's keys are shorter, and what stands in for one mostly is."""

_GITHUB = ("gho_", "ghu_", "github_pat_")
_SHORT_LIVED = ("ya29.", "tid=")
"""Google's and Copilot's live for an hour or less and cannot be renewed by themselves: what renews them counts."""


def sighted(provider: Provider, carried: str, beside: Mapping[str, str]) -> Credential | None:
    """The credential, None for what is none. `beside`: the request's other headers, lower case."""
    if len(carried) < SHORTEST or " " in carried or carried.startswith(_SHORT_LIVED):
        return None
    try:
        secret = token(carried, "the credential")
        if provider.name == "codex":
            return chatgpt({"access_token": carried, "account_id": beside.get("chatgpt-account-id")})
    except BadEntryError:
        return None
    if not provider.custom and complaint(provider.name, carried):
        return None
    if provider.name == "copilot":
        return Credential("oauth", secret, secret) if carried.startswith(_GITHUB) else None
    return Credential(kind_of(carried), secret)
