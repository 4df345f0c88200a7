"""Fixtures of the command line's tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unit.cli.cli_accounts_world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    for name in list(os.environ):
        if name not in ("PATH", "LANG", "TMPDIR", "PYTHONPATH") and not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("BALANCER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BALANCER_VAULT", "file")
    monkeypatch.chdir(user)
    return World(user, tmp_path / "home", monkeypatch, capsys)
