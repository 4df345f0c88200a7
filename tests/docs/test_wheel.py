"""What people install: the wheel, in an empty environment, without our test tools."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

NO_INDEX = ("Could not find a version", "Max retries exceeded", "NewConnectionError", "No matching distribution")
"""pip's words for: there is no network, which is not what this test is about."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def pip(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode and any(sign in done.stderr + done.stdout for sign in NO_INDEX):
        pytest.skip("pip reaches no package index")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("mitm_balancer-*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert "mitm_balancer" in names
    assert {name for name in names if not name.endswith(".dist-info")} == {"mitm_balancer"}


def test_it_works_where_nothing_else_is_installed(wheel: Path, tmp_path: Path) -> None:
    empty = tmp_path / "venv"
    venv.create(empty, with_pip=True)
    pip(str(empty / "bin/python"), "-m", "pip", "install", "--quiet", str(wheel))
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ["BALANCER_HOME"] = str(tmp_path / "home")

    def balancer(*words: str) -> str:
        command = [str(empty / "bin/balancer"), *words]
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert balancer("--version").startswith("balancer ")
    assert "FAILED" not in balancer("demo")
    assert "none" in balancer("status")
