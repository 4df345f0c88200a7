"""`balancer accounts login`: a real program logs in, in a home that is its own and gone afterwards."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from unit.accounts.importing.clientfiles import ACCESS, CLAUDE, CLAUDE_SETTINGS, CODEX, REFRESH, put
from unit.cli.cli_accounts_world import World


def client(world: World, name: str, script: str) -> Path:
    """A program of that name in PATH."""
    path = world.user / "tools" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    world.monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    return path


CLAUDE_SCRIPT = f"""
echo "$@" > 'NOTE'
env >> 'NOTE'
pwd >> 'NOTE'
cat > "$CLAUDE_CONFIG_DIR/.credentials.json" <<'END'
{json.dumps(CLAUDE)}
END
cat > "$CLAUDE_CONFIG_DIR/.claude.json" <<'END'
{json.dumps(CLAUDE_SETTINGS)}
END
"""


def test_a_login_is_taken_over_whole(world: World) -> None:
    note = world.user / "note"
    client(world, "claude", CLAUDE_SCRIPT.replace("NOTE", str(note)))
    world.monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-CANARY")
    world.monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus")
    put(world.user / ".claude/.credentials.json", {"claudeAiOauth": {"accessToken": "the user's own"}})
    code, out, err = world.run("login", "claude")
    assert (code, err) == (0, "")
    assert world.tokens("anthropic/ann") == (ACCESS, REFRESH)
    assert (world.accounts()["anthropic/ann"].source, "accounts test anthropic/ann" in out) == ("login", True)
    said = note.read_text()
    lines = dict(line.partition("=")[::2] for line in said.splitlines() if "=" in line)
    assert said.splitlines()[0] == "auth login"
    assert "CANARY" not in said
    assert "DBUS_SESSION_BUS_ADDRESS" not in lines
    for name in ("HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "PWD"):
        assert lines[name].startswith(str(world.home / "login-")), name
    assert list(world.home.glob("login-*")) == []
    assert "the user's own" in (world.user / ".claude/.credentials.json").read_text()


def test_its_home_is_private_and_leads_to_the_users_own_browser(world: World) -> None:
    opened = world.user / "opened"
    client(world, "xdg-open", f'echo "$1 $HOME $XDG_CONFIG_HOME" > {opened}')
    client(world, "codex", f'stat -c %a "$HOME" "$CODEX_HOME" > {world.user}/modes\nxdg-open https://login.example')
    world.monkeypatch.setenv("XDG_CONFIG_HOME", "/its/own")
    code, _, err = world.run("login", "codex", "--no-browser")
    assert (code, "codex ended with exit code 0, and it left no login" in err) == (1, True)
    assert (world.user / "modes").read_text() == "700\n700\n"
    assert opened.read_text() == f"https://login.example {world.user} /its/own\n"


def test_an_alias_and_no_switch(world: World) -> None:
    client(world, "codex", f"cat > $CODEX_HOME/auth.json <<'END'\n{json.dumps(CODEX)}\nEND")
    assert world.run("login", "chatgpt", "--alias", "Work", "--json", "--keep")[0] == 0
    assert world.tokens("codex/work")[1] == "rt_CANARY"
    code, out, _ = world.run("login", "codex", "--json")
    assert (code, json.loads(out)["new"], json.loads(out)["account"]) == (0, False, "codex/work")


def test_a_client_that_fails_stores_nothing_and_leaves_nothing(world: World) -> None:
    client(world, "claude", "echo half > $CLAUDE_CONFIG_DIR/.credentials.json; exit 7")
    code, _, err = world.run("login", "anthropic")
    assert (code, "exit code 7" in err, "nothing was stored" in err) == (1, True, True)
    assert world.accounts() == {}
    assert list(world.home.glob("login-*")) == []


def test_what_a_crash_left_is_removed(world: World) -> None:
    put(world.home / "login-dead/.claude/.credentials.json", CLAUDE)
    world.home.chmod(0o700)
    client(world, "claude", "exit 1")
    world.run("login", "anthropic")
    assert list(world.home.glob("login-*")) == []


def test_another_provider_than_was_asked_for_is_not_taken(world: World) -> None:
    entry = json.dumps({"groq": {"type": "api", "key": "gsk_CANARY"}})
    client(world, "opencode", f"mkdir -p $XDG_DATA_HOME/opencode; echo '{entry}' > $XDG_DATA_HOME/opencode/auth.json")
    code, _, err = world.run("login", "anthropic", "--client", "opencode")
    assert (code, "it logged in at groq, not at anthropic" in err) == (1, True)
    assert world.run("login", "groq", "--client", "opencode")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("login", "anthropic"), 1, "npm install -g @anthropic-ai/claude-code"),
        (("login", "groq"), 2, "accounts add groq"),
        (("login", "unheard-of"), 2, "no provider is named unheard-of"),
        (("login", "codex", "--program", "/no/such"), 1, "/no/such is no program"),
    ],
)
def test_what_cannot_be(world: World, words: tuple[str, ...], code: int, text: str) -> None:
    world.monkeypatch.setenv("PATH", "/usr/bin:/bin")
    found, _, err = world.run(*words)
    assert (found, text in err) == (code, True)
