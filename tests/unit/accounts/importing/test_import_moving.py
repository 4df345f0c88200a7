"""A login that is taken out of an agent's file leaves the rest of it, its mode and a backup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mitm_balancer.accounts.importing.model import BadEntryError, Found, Login
from mitm_balancer.accounts.importing.moving import take_out
from mitm_balancer.accounts.importing.sources import search
from unit.accounts.importing.clientfiles import CLAUDE, CODEX, OPENCODE, around, put


def rotating(home: Path, name: str) -> Found:
    return next(found for found in search(around(home), [name])[0].found if found.rotates)


def login_of(home: Path, name: str) -> Login:
    login = rotating(home, name).login
    assert login is not None
    return login


def test_claude_codes_other_logins_stay(tmp_path: Path) -> None:
    path = put(tmp_path / ".claude/.credentials.json", CLAUDE | {"mcpOAuth": {"server": {"accessToken": "x"}}})
    backup = take_out(login_of(tmp_path, "claude"))
    assert json.loads(path.read_text()) == {"mcpOAuth": {"server": {"accessToken": "x"}}}
    assert json.loads(backup.read_text())["claudeAiOauth"] == CLAUDE["claudeAiOauth"]
    assert (path.stat().st_mode & 0o777, backup.stat().st_mode & 0o777) == (0o600, 0o600)
    assert search(around(tmp_path), ["claude"])[0].problems == []


def test_a_file_that_held_nothing_else_goes(tmp_path: Path) -> None:
    path = put(tmp_path / ".codex/auth.json", CODEX)
    take_out(login_of(tmp_path, "codex"))
    assert [file.name for file in path.parent.iterdir()] == ["auth.json.before-mitm-balancer"]


def test_codex_keeps_its_key(tmp_path: Path) -> None:
    path = put(tmp_path / ".codex/auth.json", CODEX | {"OPENAI_API_KEY": "sk-proj", "theirs": 1})
    take_out(login_of(tmp_path, "codex"))
    assert json.loads(path.read_text()) == {"OPENAI_API_KEY": "sk-proj", "theirs": 1}


def test_only_the_one_entry_of_opencode_goes(tmp_path: Path) -> None:
    path = put(tmp_path / ".local/share/opencode/auth.json", OPENCODE)
    path.chmod(0o640)
    backup = take_out(login_of(tmp_path, "opencode"))
    assert list(json.loads(path.read_text())) == ["anthropic", "github-copilot"]
    assert (path.stat().st_mode & 0o777, backup.stat().st_mode & 0o777) == (0o640, 0o600)


def test_what_changed_since_it_was_found_stays(tmp_path: Path) -> None:
    path = put(tmp_path / ".local/share/opencode/auth.json", OPENCODE)
    login = login_of(tmp_path, "opencode")
    put(path, OPENCODE | {"xai": {"type": "api", "key": "new"}})
    take_out(login)
    assert list(json.loads(path.read_text())) == ["anthropic", "github-copilot", "xai"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = put(tmp_path / "dotfiles/auth.json", OPENCODE)
    link = tmp_path / ".local/share/opencode/auth.json"
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    take_out(login_of(tmp_path, "opencode"))
    assert link.is_symlink()
    assert "openai" not in json.loads(real.read_text())


def test_a_file_that_cannot_be_changed_is_as_it_was(tmp_path: Path) -> None:
    path = put(tmp_path / ".local/share/opencode/auth.json", OPENCODE)
    login = login_of(tmp_path, "opencode")
    path.write_text("half of a JSON {")
    with pytest.raises(BadEntryError, match="is not JSON"):
        take_out(login)
    assert path.read_text() == "half of a JSON {"
    path.unlink()
    with pytest.raises(BadEntryError, match="does not exist any more"):
        take_out(login)
