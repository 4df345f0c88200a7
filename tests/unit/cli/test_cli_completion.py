"""Completion: what a shell gets when it asks, and the script that makes it ask."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from processes import BALANCER, environ

from mitm_balancer.cli.completion_verb import INSTALL
from mitm_balancer.cli.main import main

CONFIG = """\
version: 1
accounts:
- {provider: anthropic, alias: work, credential: CANARY-1}
- {provider: anthropic, alias: spare, credential: CANARY-2}
- {provider: openai, alias: team, credential: CANARY-3}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text(CONFIG)
    (home / "config.yaml").chmod(0o600)
    return home


def completed(home: Path, line: str, tmp_path: Path) -> list[str]:
    """As a shell asks: the line so far in variables, the answer in a file of the shell's."""
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    more = {"_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_SHELL": "bash"}
    done = subprocess.run(
        BALANCER, env=environ(home, **asked, **more), capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout == done.stderr == ""
    return [word.strip() for word in answer.read_text().split("\n")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("balancer pause ", {"anthropic/work", "anthropic/spare", "openai/team", "anthropic", "openai", "team"}),
        ("balancer drain anthropic/", {"anthropic/work", "anthropic/spare"}),
        ("balancer clear s", {"spare"}),
        ("balancer relo", {"reload"}),
        ("balancer completion ", {"bash", "zsh", "fish"}),
        ("balancer status --wa", {"--watch"}),
    ],
)
def test_a_shell_gets_the_words_of_this_home(home: Path, tmp_path: Path, line: str, words: set[str]) -> None:
    assert words <= set(completed(home, line, tmp_path))
    assert "CANARY" not in "".join(completed(home, line, tmp_path))


def test_without_a_usable_home_there_is_nothing_and_no_noise(tmp_path: Path) -> None:
    assert completed(tmp_path / "nowhere", "balancer pause x", tmp_path) == [""]
    assert not (tmp_path / "nowhere").exists()
    home = tmp_path / "bad"
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text("accounts: 7")
    assert completed(home, "balancer pause x", tmp_path) == [""]


@pytest.mark.parametrize("shell", INSTALL)
def test_each_shell_gets_a_script_that_it_can_read(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "balancer" in script
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    check = ["--no-execute"] if shell == "fish" else ["-n"]
    subprocess.run([shell, *check], input=script, text=True, check=True, capture_output=True)
