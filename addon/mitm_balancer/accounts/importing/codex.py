"""Codex: `auth.json` with an API key, a ChatGPT login, or both (wire-facts 3.6; Codex 0.169)."""

from __future__ import annotations

from typing import Any

from mitm_balancer.accounts.importing.model import BadEntryError, Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.reading import json_object, maybe, part, read_place, texts, token
from mitm_balancer.accounts.model import Credential
from mitm_balancer.providers.identity import account_fields, jwt_claims

_AUTH, _PROFILE = "https://api.openai.com/auth", "https://api.openai.com/profile"


def look(harvest: Harvest, around: Surroundings) -> None:
    """The file of this user. A keyring entry (`Codex Auth`) is not read: Codex itself writes the file by default."""
    found = read_place(around.folder_of("CODEX_HOME", ".codex") / "auth.json", harvest, around)
    if found is not None:
        parse(*found, harvest, around)


def parse(data: bytes, place: Place, harvest: Harvest, around: Surroundings) -> None:  # noqa: ARG001 - as all parsers
    """The key and the login in that file."""
    with harvest.piece(place.text):
        content = json_object(data)
        key, tokens = content.get("OPENAI_API_KEY"), content.get("tokens")
        if not key and not tokens:
            raise BadEntryError("holds neither a key nor a login")
        with harvest.piece(place.text):
            if (secret := maybe(key, "OPENAI_API_KEY")) is not None:
                harvest.add(place, "openai", Credential("api", secret))
        with harvest.piece(place.text):
            if tokens:
                # Without tokens the file says nothing that Codex could use, unless it holds a key.
                takes = (("tokens",), ("last_refresh",), ("auth_mode",)) if key else ()
                harvest.add(place, "codex", chatgpt(part(tokens, "tokens")), takes=takes)


def chatgpt(tokens: dict[str, Any]) -> Credential:
    """The login of a ChatGPT account. Raises BadEntryError."""
    access = token(tokens.get("access_token"), "tokens.access_token")
    claims = jwt_claims(access.reveal())
    about = jwt_claims(str(tokens.get("id_token") or "")) or claims
    auth = about.get(_AUTH) if isinstance(about.get(_AUTH), dict) else claims.get(_AUTH)
    profile = about.get(_PROFILE) or claims.get(_PROFILE)
    auth, profile = auth if isinstance(auth, dict) else {}, profile if isinstance(profile, dict) else {}
    identity = texts(
        email=about.get("email") or profile.get("email"),
        plan=auth.get("chatgpt_plan_type"),
        user_id=auth.get("chatgpt_user_id") or auth.get("user_id"),
    )
    account = texts(account_id=tokens.get("account_id")) or account_fields("codex", access.reveal())
    refresh = maybe(tokens.get("refresh_token"), "tokens.refresh_token")
    return Credential(
        "oauth", access, refresh, ends(claims), identity | account, texts(client_id=claims.get("client_id"))
    )


def ends(claims: dict[str, Any]) -> float | None:
    """When a JWT ends, unix seconds."""
    exp = claims.get("exp")
    return float(exp) if isinstance(exp, (int, float)) and not isinstance(exp, bool) and exp > 0 else None
