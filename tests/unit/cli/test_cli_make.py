"""What `make` needs: its own list of targets, and the search for a Python."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts/venv.sh"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def make_venv(folder: Path, target: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """With nothing on PATH but the folder and what a bare system has."""
    for tool in ("sh", "rm"):
        (folder / tool).symlink_to(shutil.which(tool) or "")
    environ = {"PATH": str(folder), "HOME": str(folder), "PYENV_ROOT": str(folder / "pyenv"), **more}
    return subprocess.run([SCRIPT, target], env=environ, capture_output=True, text=True, check=False)


def test_help_lists_every_target() -> None:
    # `make test` runs this very test: an inner make would tell which folder it enters.
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony is not None
    assert [line.split()[1] for line in done.stdout.splitlines()] == phony[1].split()


def test_a_shim_of_an_inactive_version_is_passed_over(tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    program(shims, "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    program(shims, "python3", "exit 1")
    real = tmp_path / "shims/pyenv/versions/3.12.9/bin"
    real.mkdir(parents=True)
    (real / "python").symlink_to(sys.executable)

    done = make_venv(shims, tmp_path / "venv")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "venv/bin/pip").exists()


def test_a_venv_that_is_good_is_left_alone(tmp_path: Path) -> None:
    program(tmp_path / "empty", "python3", "exit 1")
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    (tmp_path / "venv/mine").touch()

    assert make_venv(tmp_path / "empty", tmp_path / "venv").returncode == 0
    assert (tmp_path / "venv/mine").exists()


def test_without_a_python_it_is_one_clear_line(tmp_path: Path) -> None:
    program(tmp_path / "empty", "python3", "exit 1")

    done = make_venv(tmp_path / "empty", tmp_path / "venv")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no Python >= 3.12 found" in done.stderr


def test_a_python_without_venv_names_the_cure(tmp_path: Path) -> None:
    program(tmp_path / "debian", "python3", 'test "$1" = -c')  # runs code, but has no venv module

    done = make_venv(tmp_path / "debian", tmp_path / "venv")

    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr


def test_uv_is_the_last_resort(tmp_path: Path) -> None:
    program(tmp_path / "uv", "uv", f'echo "$@" > {tmp_path}/said')

    assert make_venv(tmp_path / "uv", tmp_path / "venv").returncode == 0
    assert (tmp_path / "said").read_text() == f"venv --quiet --seed --python 3.12 {tmp_path}/venv\n"


def test_the_build_server_runs_what_people_run() -> None:
    script = (ROOT / ".ci/run").read_text()

    assert "set -euo pipefail" in script
    assert script.rstrip().endswith("make test")
    assert os.access(ROOT / ".ci/run", os.X_OK)
