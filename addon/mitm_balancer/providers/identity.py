"""What a credential itself tells about its account: ids that travel beside it on the wire."""

from __future__ import annotations

import base64
import json
from typing import Any

_OPENAI_AUTH = "https://api.openai.com/auth"


def account_fields(provider: str, credential: str) -> dict[str, str]:
    """Fields for `Provider.account_headers`, `account_body` and `account_path`, read from the credential.

    Codex: the access token is a JWT whose claim names the ChatGPT account (wire-facts 3.2). Others tell nothing.
    Total: a credential that is no JWT gives no fields.
    """
    if provider != "codex":
        return {}
    claims = jwt_claims(credential)
    auth = claims.get(_OPENAI_AUTH)
    account = auth.get("chatgpt_account_id") if isinstance(auth, dict) else None
    if not isinstance(account, str):
        organizations = claims.get("organizations")
        first = organizations[0] if isinstance(organizations, list) and organizations else None
        account = first.get("id") if isinstance(first, dict) else None
    return {"account_id": account} if isinstance(account, str) and account.isprintable() else {}


def jwt_claims(token: str) -> dict[str, Any]:
    """The payload of a JWT, unverified (it is our own user's); {} for anything else."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
