"""The agents: how each is installed, told its key, and asked for one headless turn."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import codexlogin
import copilot

from mitm_balancer.testing import FakeProvider

CLIENT = "client-own-credential"
"""What the agent holds; no account has it, so the ledger shows where it went."""
CLAUDE_TOKEN = "sk-ant-oat01-" + CLIENT
GITHUB_TOKEN = "gho_" + CLIENT


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    package: str
    binary: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    provider: str
    """Of the two accounts."""
    prepare: Callable[[Path], None] = lambda _: None
    """Given the agent's home, before its turn."""
    path: str = ""
    """Where its turns go: a part of the request target."""
    answers: Callable[[FakeProvider], None] = lambda _: None
    """Given the provider, for what the agent asks besides its turns."""
    python: bool = False
    """Comes from PyPI, not from npm."""
    more: tuple[tuple[str, int], ...] = ()
    """(scenario, attempts) where the agent by itself tries more often than the scenario allows."""
    loses: tuple[str, ...] = ()
    """Scenarios whose fault the agent does not survive by itself and nobody can hide from it."""
    waits: tuple[str, ...] = ()
    """Scenarios in which it sleeps until the stated time, whatever it is told."""


def _jwt() -> str:
    """An unsigned token with the claims that Codex reads."""
    auth = {"chatgpt_account_id": codexlogin.ACCOUNT, "chatgpt_plan_type": "plus", "chatgpt_user_id": "user-client"}
    claims = {"exp": 4102444800, "email": "me@example.com", "https://api.openai.com/auth": auth}
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*text, "c2ln"])


CODEX_TOKEN = _jwt()
CLIENTS = (CLIENT, CLAUDE_TOKEN, GITHUB_TOKEN, CODEX_TOKEN)


def _codex_chatgpt(home: Path) -> None:
    """An auth.json as a ChatGPT login leaves it; the tokens are invented."""
    folder = home / ".codex"
    folder.mkdir(parents=True, exist_ok=True)
    tokens = {
        "id_token": CODEX_TOKEN,
        "access_token": CODEX_TOKEN,
        "refresh_token": "rt",
        "account_id": codexlogin.ACCOUNT,
    }
    now = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    login = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": now}
    (folder / "auth.json").write_text(json.dumps(login))


_CLAUDE = ("-p", "hi", "--output-format", "stream-json", "--include-partial-messages", "--verbose")
_CODEX = ("exec", "--skip-git-repo-check", "--json", "hi")
_DIALS = 9
"""Codex opens a socket 7 times, then asks twice over HTTP."""
_OUT = ("both-429-120", "both-quota-5h", "both-error-429", "both-error-quota")
_AIDER: tuple[str, ...] = (
    "--message",
    "hi",
    "--yes-always",
    "--no-git",
    "--model",
    "openai/gpt-4.1",
    "--no-check-update",
)
_AIDER += ("--analytics-disable", "--no-show-model-warnings", "--no-pretty")

AGENTS = (
    Agent(
        "claude",
        "@anthropic-ai/claude-code",
        "claude",
        _CLAUDE,
        (("ANTHROPIC_API_KEY", CLIENT),),
        "anthropic",
        path="/v1/messages",
    ),
    Agent(
        "claude-oauth",
        "@anthropic-ai/claude-code",
        "claude",
        _CLAUDE,
        (("CLAUDE_CODE_OAUTH_TOKEN", CLAUDE_TOKEN),),
        "anthropic",
        path="/v1/messages",
        # With a login any 429 is the end for it, and half a minute is longer than `hold_ms`.
        loses=("both-429-30",),
    ),
    Agent(
        "codex",
        "@openai/codex",
        "codex",
        _CODEX,
        (("CODEX_API_KEY", CLIENT),),
        "openai",
        path="/v1/responses",
        more=(("cut-start", _DIALS), ("cut-opening", _DIALS), ("error-first", _DIALS)),
    ),
    Agent(
        "codex-chatgpt",
        "@openai/codex",
        "codex",
        _CODEX,
        (),
        "codex",
        _codex_chatgpt,
        path="/codex/responses",
        answers=codexlogin.answer,
    ),
    Agent(
        "opencode",
        "opencode-ai",
        "opencode",
        ("run", "--title", "t", "-m", "anthropic/claude-sonnet-4-5", "hi"),
        (("ANTHROPIC_API_KEY", CLIENT),),
        "anthropic",
        path="/v1/messages",
        # An error event of Anthropic's names no wait: a bare limit, which benches nobody.
        more=(("both-error-429", 12), ("both-error-quota", 12)),
        waits=_OUT,
    ),
    Agent(
        "gemini",
        "@google/gemini-cli",
        "gemini",
        ("--skip-trust", "-m", "gemini-2.5-flash", "-p", "hi"),
        (("GEMINI_API_KEY", CLIENT),),
        "gemini",
        path="/v1beta/models/",
        waits=("both-429-120", "both-error-429"),
    ),
    Agent(
        "copilot",
        "@github/copilot",
        "copilot",
        ("-p", "hi", "--allow-all-tools", "--no-auto-update", "--model", copilot.MODEL),
        (("COPILOT_GITHUB_TOKEN", GITHUB_TOKEN),),
        "copilot",
        path="/chat/completions",
        answers=copilot.answer,
        waits=_OUT,
    ),
    Agent(
        "aider",
        "aider-chat",
        "aider",
        _AIDER,
        (("OPENAI_API_KEY", CLIENT),),
        "openai",
        path="/v1/chat/completions",
        python=True,
        waits=_OUT,
    ),
)
