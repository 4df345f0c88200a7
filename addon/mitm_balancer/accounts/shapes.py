"""What a credential looks like: whose it probably is, and of which kind (wire-facts x.2).

Only beginnings that a vendor documents count, so silence means "cannot be told".
"""

from __future__ import annotations

import re

from mitm_balancer.providers.identity import jwt_claims

_BEGINNINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"sk-ant-(api|oat)", ("anthropic",)),
    (r"sk-or-", ("openrouter",)),
    (r"sk-(proj|svcacct)-", ("openai",)),
    (r"sk-(cp|api)-", ("minimax", "minimax-cn")),
    (r"sk-sp-", ("qwen", "qwen-cn", "qwen-us", "qwen-coding")),
    (r"AIza|AQ\.", ("gemini", "vertex")),
    (r"gsk_", ("groq",)),
    (r"xai-", ("xai",)),
    (r"csk-", ("cerebras",)),
    (r"fw_", ("fireworks",)),
    (r"(gho|ghu|github_pat)_|tid=", ("copilot",)),
    (r"ya29\.", ("codeassist", "vertex", "gemini")),
)
"""Earlier rows win. A row's providers are those that take such a credential."""

_USELESS = (
    (r"sk-ant-admin", "an admin key, which no model answers to"),
    (r"sk-ant-ort", "a refresh token: balancer accounts login anthropic, or import, brings both tokens"),
    (r"ghp_", "a classic GitHub token, which Copilot refuses: gho_, ghu_ and github_pat_ are taken"),
    (r"(?i)bearer\s", "a whole header: leave out the word Bearer"),
    (r"(export\s|[A-Z_]+=)", "a line of a shell: only what is behind the = belongs here"),
)

_LOGIN = r"sk-ant-oat|eyJ|ya29\.|gh[ou]_|tid="
"""Access tokens of a login, as against keys that somebody made."""

_ALWAYS = {"anthropic": "sk-ant-", "openrouter": "sk-or-", "groq": "gsk_", "xai": "xai-", "fireworks": "fw_"}
"""Providers whose every credential begins so."""


def complaint(provider: str, credential: str) -> str:
    """Why it is probably not a credential of this built-in provider; "" when nothing speaks against it."""
    for pattern, what in _USELESS:
        if re.match(pattern, credential):
            return f"this looks like {what}"
    for pattern, providers in _BEGINNINGS:
        if re.match(pattern, credential):
            return "" if provider in providers else f"this looks like a credential of {' or '.join(providers)}"
    begins = _ALWAYS.get(provider, "")
    return f"credentials of {provider} begin with {begins}" if not credential.startswith(begins) else ""


def kind_of(credential: str) -> str:
    """`oauth` for what looks like the access token of a login, else `api`."""
    return "oauth" if re.match(_LOGIN, credential) else "api"


def ends_at(credential: str) -> float | None:
    """When the credential itself says that it ends: a JWT's `exp`, Copilot's `exp=`. Unix seconds."""
    found: object = jwt_claims(credential).get("exp")
    if (copilot := re.match(r"tid=.*?;exp=(\d+)", credential)) is not None:
        found = int(copilot[1])
    return float(found) if isinstance(found, int | float) and found > 0 else None


def tail(credential: str) -> str:
    """Its last four characters, by which people know their keys; "" for one so short that four would tell much."""
    return credential[-4:] if len(credential) >= 20 else ""
