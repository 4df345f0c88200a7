"""Credential files as the real clients write them (made by Claude Code 2.1.197, Codex 0.169.0, Copilot CLI 1.0.102 and
opencode 1.18.33 against the fake provider, see docs/import.md); the tokens are invented."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from mitm_balancer.accounts.importing.model import Surroundings
from mitm_balancer.providers.registry import BUILTIN

ACCESS, REFRESH = "sk-ant-oat01-CANARY-access-aaaaaaaaaaaa", "sk-ant-ort01-CANARY-refresh-bbbbbbbbbb"
NAMES = frozenset(provider.name for provider in BUILTIN)


def jwt(**claims: Any) -> str:
    """An unsigned token."""
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*text, "c2ln"])


CHATGPT = jwt(
    exp=4102444800,
    client_id="app_EMoamEEZ73f0CkXaXp7hrann",
    **{
        "https://api.openai.com/auth": {
            "chatgpt_account_id": "acct-1", "chatgpt_plan_type": "plus", "chatgpt_user_id": "user-1",
        },
        "https://api.openai.com/profile": {"email": "ann@example.com"},
    },
)  # fmt: skip

CLAUDE = {
    "claudeAiOauth": {
        "accessToken": ACCESS,
        "refreshToken": REFRESH,
        "expiresAt": 1795357710176,
        "scopes": ["user:profile", "user:inference"],
        "subscriptionType": "max",
        "rateLimitTier": "default_claude_max_5x",
    }
}
CLAUDE_SETTINGS = {
    "machineID": "f4d3",
    "oauthAccount": {
        "accountUuid": "acc-uuid-1",
        "emailAddress": "ann@example.com",
        "organizationUuid": "org-1",
        "organizationName": "Org",
        "seatTier": None,
    },
}
CODEX = {
    "auth_mode": "chatgpt",
    "OPENAI_API_KEY": None,
    "tokens": {"id_token": CHATGPT, "access_token": CHATGPT, "refresh_token": "rt_CANARY", "account_id": "acct-1"},
    "last_refresh": "2026-11-22T06:00:00Z",
}
OPENCODE = {
    "anthropic": {"type": "api", "key": "sk-ant-api03-CANARY"},
    "openai": {"type": "oauth", "refresh": "rt_CANARY2", "access": CHATGPT, "expires": 4102444800000,
               "accountId": "acct-1"},
    "github-copilot": {"type": "oauth", "refresh": "gho_CANARY", "access": "gho_CANARY", "expires": 0},
}  # fmt: skip
COPILOT_CLI = """// User settings belong in settings.json.
// This file is managed automatically.
{
  "authTokens": {
    "https://github.com:octocat:github": {"token": "gho_CANARY3"},
    "https://github.com:octocat": {"token": "gho_CANARY3"}
  },
  "loggedInUsers": [{"host": "https://github.com", "login": "octocat", "kind": "githubDotCom"}]
}
"""


def around(home: Path, **env: str) -> Surroundings:
    """A user's home with nothing in it but what the test puts there."""
    home.mkdir(exist_ok=True)
    return Surroundings(env, home, home / "work", "linux", NAMES)


def put(path: Path, content: object) -> Path:
    """Write a file as an agent does: 0600, below folders that are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
