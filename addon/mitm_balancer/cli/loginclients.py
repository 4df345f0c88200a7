"""The official clients that can log in, and how each is kept in a home of its own while it does."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mitm_balancer.accounts.importing.envnames import ELSEWHERE, KEYS


@dataclass(frozen=True, slots=True)
class Client:
    """One client."""

    name: str
    """The program; also the source of `accounts.importing` that reads what it leaves."""
    source: str
    argv: tuple[str, ...]
    install: str
    """How people get it."""
    remote: tuple[str, ...] = ()
    """More arguments where no browser can be opened here."""
    remote_env: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    """(path below its home, content): settings without which the login would go to the system's keyring."""
    advice: str = ""


CLAUDE = Client("claude", "claude", ("auth", "login"), "npm install -g @anthropic-ai/claude-code")
CODEX = Client("codex", "codex", ("login",), "npm install -g @openai/codex", remote=("--device-auth",))
GEMINI = Client(
    "gemini", "gemini", ("--skip-trust",), "npm install -g @google/gemini-cli",
    env=(("GOOGLE_GENAI_USE_GCA", "true"), ("GEMINI_FORCE_FILE_STORAGE", "true")),
    remote_env=(("NO_BROWSER", "true"),),
    files=((".gemini/settings.json", '{"security": {"auth": {"selectedType": "oauth-personal"}}}\n'),),
    advice="Gemini CLI starts; leave it with /quit once you are logged in",
)  # fmt: skip
COPILOT = Client(
    "copilot", "copilot", ("login",), "npm install -g @github/copilot", remote=("--device-code",),
    files=((".copilot/settings.json", '{"storeTokenPlaintext": true}\n'),),
)  # fmt: skip
OPENCODE = Client("opencode", "opencode", ("auth", "login"), "npm install -g opencode-ai")

BY_PROVIDER: Mapping[str, Client] = {"anthropic": CLAUDE, "codex": CODEX, "codeassist": GEMINI, "copilot": COPILOT}
ALL: Mapping[str, Client] = {client.name: client for client in (CLAUDE, CODEX, GEMINI, COPILOT, OPENCODE)}

SAME = {"claude": "anthropic", "chatgpt": "codex", "gemini-cli": "codeassist", "github": "copilot"}
"""What people also call them."""

_GONE = frozenset(
    {"ANTHROPIC_AUTH_TOKEN", "CODEX_ACCESS_TOKEN", "GH_TOKEN", "GITHUB_TOKEN", "OPENCODE_AUTH_CONTENT",
     "DBUS_SESSION_BUS_ADDRESS", "CLAUDE_CODE_OAUTH_REFRESH_TOKEN", "CLAUDE_CODE_OAUTH_SCOPES"}
)  # fmt: skip
"""Beside all keys: with one of these a client would not ask, or would put the login into the system's keyring."""

_FOLDERS = (
    ".claude", ".codex", ".copilot", ".gemini", ".config", ".local/share", ".local/state", ".cache", "bin",
)  # fmt: skip
_BROWSERS = ("xdg-open", "sensible-browser", "x-www-browser", "www-browser")


def isolated(client: Client, home: Path, environ: Mapping[str, str], *, remote: bool) -> dict[str, str]:
    """The client's environment: every place where it could keep or find a login is below `home`."""
    gone = _GONE | KEYS.keys() | {name for names in ELSEWHERE.values() for name in names}
    kept = {name: value for name, value in environ.items() if name not in gone}
    places = {
        "HOME": home,
        "USERPROFILE": home,
        "CLAUDE_CONFIG_DIR": home / ".claude",
        "CODEX_HOME": home / ".codex",
        "COPILOT_HOME": home / ".copilot",
        "GEMINI_CLI_HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local/share",
        "XDG_STATE_HOME": home / ".local/state",
        "XDG_CACHE_HOME": home / ".cache",
    }
    extra = dict(client.env) | (dict(client.remote_env) if remote else {})
    path = f"{home / 'bin'}{os.pathsep}{kept.get('PATH', '')}"
    return kept | {name: str(place) for name, place in places.items()} | {"PATH": path} | extra


def furnish(client: Client, home: Path, environ: Mapping[str, str]) -> None:
    """Make the home: private folders, the client's settings, and a way to the user's own browser."""
    for folder in (
        ".claude",
        ".codex",
        ".copilot",
        ".gemini",
        ".config",
        ".local/share",
        ".local/state",
        ".cache",
        "bin",
    ):
        (home / folder).mkdir(mode=0o700, parents=True)
    for path, content in client.files:
        (home / path).write_text(content)
    own = ("HOME", "DBUS_SESSION_BUS_ADDRESS", *(name for name in environ if name.startswith("XDG_")))
    back = "".join(f"{name}={_quoted(environ[name])} " for name in own if name in environ)
    lost = " ".join(f"-u {name}" for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"))
    for name in _BROWSERS:
        # A browser in the isolated home would be one where the user is logged in nowhere.
        script = home / "bin" / name
        text = f'#!/bin/sh\nPATH={_quoted(environ.get("PATH", ""))} exec env {lost} {back}{name} "$@"\n'
        script.write_text(text)
        script.chmod(stat.S_IRWXU)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
