"""What an agent's own login or refresh gave it: read from a copy of the call to the token endpoint. Pure."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mitm_balancer.accounts.importing.codex import chatgpt
from mitm_balancer.accounts.importing.model import BadEntryError
from mitm_balancer.accounts.importing.reading import maybe, texts, token
from mitm_balancer.accounts.model import Credential
from mitm_balancer.providers.identity import jwt_claims
from mitm_balancer.providers.logins import TokenEndpoint
from mitm_balancer.secrets import Secret

REFRESH, CODE = "refresh_token", "authorization_code"
"""The two grants that give a login its pair. Others, such as Codex's exchange for an API key, give something else."""

LONGEST_LIFE = 400 * 24 * 3600.0
"""Seconds; the longest that is known is a year (wire-facts 1.6)."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A pair that an agent holds from now on."""

    provider: str
    credential: Credential
    used: Secret | None
    """The refresh token that it was exchanged for; None: a login."""


def read_exchange(endpoint: TokenEndpoint, request: bytes, answer: bytes, now: float) -> Exchange | None:
    """The exchange; None when it is none that concerns us. Total. `now`: unix seconds. `answer`: decoded."""
    asked, told = _fields(request), _object(answer)
    grant = asked.get("grant_type")
    if grant not in (REFRESH, CODE) or not endpoint.is_of(str(asked.get("client_id", ""))) or not told:
        return None
    try:
        used = token(asked.get("refresh_token"), "refresh_token") if grant == REFRESH else None
        refresh = maybe(told.get("refresh_token"), "refresh_token") or used
        credential = _credential(endpoint.provider, told, refresh, now)
    except BadEntryError:
        return None
    extra = texts(client_id=asked.get("client_id"), scope=told.get("scope"))
    whole = Credential("oauth", credential.secret, refresh, credential.expires_at, credential.identity, extra)
    return Exchange(endpoint.provider, whole, used)


def _credential(provider: str, told: Mapping[str, Any], refresh: Secret | None, now: float) -> Credential:
    if provider == "codex":
        found = chatgpt(dict(told))
        expires_at = found.expires_at or _ends(told, now)
        return Credential("oauth", found.secret, refresh, expires_at, found.identity)
    access = token(told.get("access_token"), "access_token")
    return Credential("oauth", access, refresh, _ends(told, now), _identity(told))


def _identity(told: Mapping[str, Any]) -> dict[str, str]:
    """Whose it is: Anthropic's answer says so itself, Google's has an id token."""
    account, organization = told.get("account"), told.get("organization")
    account = account if isinstance(account, dict) else {}
    organization = organization if isinstance(organization, dict) else {}
    claims = jwt_claims(str(told.get("id_token") or ""))
    return texts(
        account_uuid=account.get("uuid"),
        email=account.get("email_address") or account.get("email") or claims.get("email"),
        org=organization.get("uuid"),
        org_name=organization.get("name"),
    )


def _ends(told: Mapping[str, Any], now: float) -> float | None:
    life = told.get("expires_in")
    if isinstance(life, bool) or not isinstance(life, (int, float)) or not 0 < life <= LONGEST_LIFE:
        return None
    return now + life


def _fields(body: bytes) -> dict[str, Any]:
    """The request: JSON (Claude Code, Codex) or a form (Google, Codex's login)."""
    found = _object(body)
    if found:
        return found
    try:
        return dict(urllib.parse.parse_qsl(body.decode(), max_num_fields=64))
    except (UnicodeDecodeError, ValueError):
        return {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
