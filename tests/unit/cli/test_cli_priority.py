"""`balancer priority` and `balancer exec --account`, as processes: settings that a running proxy obeys."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from processes import balancer, free_port, started, wait_for

from mitm_balancer.store import Store

pytestmark = pytest.mark.e2e

CONFIG = """\
accounts:
  - {provider: anthropic, alias: work, credential: "KEY-1"}
  - {provider: anthropic, alias: home, credential: "KEY-2"}
  - {provider: zai, alias: main, credential: "KEY-3"}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "config.yaml").chmod(0o600)
    return folder


def listed(home: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(balancer(home, "priority", "--json").stdout)
    return found


def test_a_day_of_an_operator(home: Path) -> None:
    assert balancer(home, "priority", "enable", "zai", "glm-4.6").returncode == 0
    assert balancer(home, "priority", "move", "home", "first").returncode == 0
    assert balancer(home, "priority", "strategy", "drain").returncode == 0
    assert balancer(home, "priority", "pin", "work", "--model", "claude-opus-*").returncode == 0
    found = balancer(home, "priority")
    assert found.returncode == 0
    assert max(map(len, found.stdout.splitlines())) <= 80
    for text in ("drain", "glm-4.6", "anthropic/home: next in line", "models claude-opus-*", "in no row"):
        assert text in found.stdout
    data = listed(home)
    assert data["strategy"] == "drain"
    assert len(data["overrides"]) == 4  # type: ignore[arg-type]
    assert balancer(home, "priority", "--reset").returncode == 0
    assert listed(home)["overrides"] == []


def test_mistakes_name_the_cure(home: Path) -> None:
    for words, code, text in (
        (("move", "nobody", "up"), 1, "there is no account or provider nobody"),
        (("move", "zai", "up"), 1, "balancer priority enable zai"),
        (("enable", "nobody"), 1, "no provider is named nobody"),
        (("model", "zai", "a=b", "c"), 2, "GLOB=MODEL"),
        (("strategy", "nonsense"), 2, "invalid choice"),
        (("pin", "work"), 2, "--model"),
    ):
        done = balancer(home, "priority", *words)
        assert (done.returncode, text in done.stderr) == (code, True), (words, done.stderr)


def test_the_session_of_a_request(home: Path) -> None:
    store = Store.open(home)
    store.add_trace("aaaabbbbcccc", {"id": "aaaabbbbcccc", "session": "0123abcd"})
    store.close()
    for told in ("last", "aaaabbbbcccc", "0123abcd"):
        done = balancer(home, "priority", "pin", "work", "--session", told)
        assert "only anthropic/work serves the session 0123abcd" in done.stdout, done.stderr
    assert balancer(home, "priority", "unpin", "--session", "last").returncode == 0


def test_looking_makes_no_home(tmp_path: Path) -> None:
    done = balancer(tmp_path / "none", "priority")
    assert done.returncode == 0
    assert not (tmp_path / "none").exists()


def test_a_running_proxy_obeys(home: Path) -> None:
    port = free_port()
    with started(home, "run", "-p", str(port)):
        wait_for(lambda: json.loads(balancer(home, "status", "--json").stdout)["proxy"])
        done = balancer(home, "priority", "move", "home", "first", "--json")
        assert json.loads(done.stdout)["proxy"] == "obeyed"


def test_a_run_for_one_account(home: Path) -> None:
    show = "import os; print(os.environ['HTTPS_PROXY'], os.environ['BALANCER_PROXY'])"
    done = balancer(home, "exec", "--account", "work", "--account", "zai/main", "--", sys.executable, "-c", show)
    assert done.returncode == 0
    urls = done.stdout.split()
    assert urls[0] == urls[1]
    assert urls[0].startswith("http://pin~anthropic~work~zai~main:pinned@127.0.0.1:")
    assert "only anthropic/work, zai/main serves" in done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("nobody",), "there is no account or provider nobody"),
        (("anthropic",), "is a provider: --account takes one of anthropic/work, anthropic/home"),
        (("work", "--account", "anthropic/home"), "one account of a provider, not anthropic/work and anthropic/home"),
    ],
)
def test_an_account_that_is_none_is_told_before_the_start(home: Path, words: tuple[str, ...], text: str) -> None:
    done = balancer(home, "exec", "--account", *words, "--", sys.executable, "-c", "print('ran')")
    assert done.returncode == 1
    assert text in done.stderr
    assert "ran" not in done.stdout
