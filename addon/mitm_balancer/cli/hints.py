"""What to tell about an agent that has no key and no login of its own: most ask for one before they ask the proxy.

The balancer never sets a placeholder by itself: a false key in the environment would outlive the proxy unseen.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Need:
    """Any one of the variables, or of the files below the home folder of the user, lets the agent start."""

    variables: tuple[str, ...]
    files: tuple[str, ...] = ()
    keychain: bool = False
    """On macOS the login may lie in the keychain, which is not looked into."""
    but: str = ""
    """What the placeholder does not do."""


NEEDS: Mapping[str, Need] = {
    "claude": Need(
        ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR"),
        (".claude/.credentials.json",),
        keychain=True,
    ),
    "codex": Need(
        ("CODEX_API_KEY", "CODEX_HOME", "CODEX_ACCESS_TOKEN"),
        (".codex/auth.json",),
        but="with it, Codex asks api.openai.com; for ChatGPT accounts it wants a login of its own: codex login",
    ),
    "opencode": Need(
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "XDG_DATA_HOME"),
        (".local/share/opencode/auth.json",),
    ),
    "gemini": Need(("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT"), (".gemini/oauth_creds.json",)),
    "aider": Need(
        ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"),
        (".env", ".aider.conf.yml", ".aider/oauth-keys.env"),
    ),
}


def hint(program: str, environ: Mapping[str, str], user_home: Path, platform: str = sys.platform) -> str | None:
    """One line for an agent without a key or login of its own, or None."""
    need = NEEDS.get(program)
    if need is None or (need.keychain and platform == "darwin"):
        return None
    if any(environ.get(name) for name in need.variables) or any((user_home / file).exists() for file in need.files):
        return None
    return (
        f"{program} seems to have no key or login of its own and may ask for one before it asks the proxy; "
        f"a placeholder will do: {need.variables[0]}=placeholder{f' ({need.but})' if need.but else ''}"
    )
