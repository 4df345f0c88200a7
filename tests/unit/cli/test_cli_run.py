"""`balancer run` as a real process: what it starts with, what it refuses, how it ends."""

import json
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from processes import accepts, balancer, environ, free_port, started, wait_for

pytestmark = pytest.mark.e2e

RUN = "runpy.run_module('mitm_balancer.cli', run_name='__main__')"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_listens_tells_how_to_go_on_and_ends_well(home: Path, number: signal.Signals) -> None:
    port = free_port()
    with started(home, "run", "-p", str(port)) as process:
        wait_for(lambda: accepts(port))
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(6))
        process.send_signal(number)
        assert process.wait(5) == 0

    assert f"listens on http://127.0.0.1:{port}" in said
    assert "exec -- claude" in said
    assert "none yet: everything passes through untouched" in said
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / "mitmproxy-ca-cert.pem").exists()
    assert stat.S_IMODE((home / "mitmproxy-ca.pem").stat().st_mode) == 0o600


def test_a_taken_port_is_one_clear_line(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = balancer(home, "run", "-p", str(port))

    assert done.returncode == 1
    assert done.stderr == f"balancer: port {port} is taken by another program; choose another one with -p\n"
    assert done.stdout == ""


def test_a_proxy_is_found_as_soon_as_it_has_said_where_it_listens(home: Path) -> None:
    with started(home, "run", "-p", "0") as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = json.loads(balancer(home, "env", "--json").stdout)

    assert found["HTTPS_PROXY"] in said


def test_a_second_proxy_hears_of_the_first(home: Path) -> None:
    port = free_port()
    with started(home, "run", "-p", str(port)) as process:
        wait_for(lambda: json.loads(balancer(home, "status", "--json").stdout)["proxy"])
        done = balancer(home, "run", "-p", str(port))

    assert done.returncode == 1
    assert f"a balancer (pid {process.pid})" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--set", "flow_detial=3"], 2, "no such option: flow_detial (did you mean flow_detail?)"),
        (["--set", "flow_detail=much"], 2, "not an integer"),
        (["--set", "ssl_insecur"], 2, "did you mean ssl_insecure?"),
        (["-p", "99999"], 2, "99999 is not a port"),
        (["--config", "/nowhere/config.yaml"], 1, "/nowhere/config.yaml"),
        (["--web", "--set", "flow_detial=3"], 2, "no such option: flow_detial"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(home: Path, words: list[str], code: int, message: str) -> None:
    done = balancer(home, "run", *words)

    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_each_mistake_in_the_configuration_is_named_with_its_line(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text("version: 1\nacounts: []\npolicy: {hold_ms: soon}\n")

    done = balancer(home, "run")

    assert done.returncode == 1
    assert "config.yaml:2" in done.stderr
    assert "config.yaml:3" in done.stderr


def test_a_home_that_others_can_read_is_refused_with_the_cure(home: Path) -> None:
    home.mkdir(mode=0o755)

    done = balancer(home, "run")

    assert done.returncode == 1
    assert f"chmod 700 {home}" in done.stderr


def test_an_option_of_a_heavier_addon_brings_that_one_in(home: Path, tmp_path: Path) -> None:
    port, har = free_port(), tmp_path / "dump.har"
    with started(home, "run", "-p", str(port), "--set", f"hardump={har}") as process:
        # A signal before everything runs ends mitmproxy without its `done`: the greeting comes last.
        wait_for(lambda: "listens on" in (process.stdout.readline() if process.stdout else ""))
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0

    assert json.loads(har.read_text())["log"]["entries"] == []


def test_a_script_runs_and_may_define_options(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from mitmproxy import ctx\n"
        "def load(loader): loader.add_option('greet', str, '', 'x')\n"
        "def running(): print('script says', ctx.options.greet, flush=True)\n"
    )
    with started(home, "run", "-p", "0", "-s", str(script), "--set", "greet=hello") as process:
        assert process.stdout is not None
        wait_for(lambda: "script says hello" in (process.stdout.readline() if process.stdout else ""))


def test_the_home_can_be_set_as_mitmdump_would(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with started(home, "run", "-p", "0", "--set", f"balancer_home={other}"):
        wait_for(lambda: (other / "balancer.sqlite").exists() and (other / "mitmproxy-ca-cert.pem").exists())

    assert not home.exists()


def test_the_web_interface_prints_its_address_with_the_token(home: Path) -> None:
    web = free_port()
    with started(home, "run", "--web", "-p", "0", "--set", f"web_port={web}") as process:
        assert process.stdout is not None
        line = wait_for(
            lambda: next((text for text in iter(process.stdout.readline, "") if "Web server" in text), "")  # type: ignore[union-attr]
        )
        assert f"http://127.0.0.1:{web}/?token=" in line
        assert accepts(web)


@pytest.mark.parametrize("words", [["--set", "x=1"], ["--web", "--set", "web_port=0"]])
def test_our_addon_stands_right_before_nextlayer(home: Path, tmp_path: Path, words: list[str]) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from mitmproxy import ctx\n"
        "def load(loader): loader.add_option('x', str, '', 'x')\n"
        "def running():\n"
        "    names = [type(addon).__name__ for addon in ctx.master.addons.chain]\n"
        "    print('chain', names.index('NextLayer') - names.index('BalancerAddon'), len(names), flush=True)\n"
    )
    with started(home, "run", "-p", "0", "-s", str(script), *words) as process:
        assert process.stdout is not None
        _, distance, length = next(line for line in process.stdout if line.startswith("chain")).split()

    assert int(distance) == 1
    assert (int(length) > 30) == ("--web" in words)


def test_a_first_start_without_room_for_the_ca_is_one_clear_line(home: Path) -> None:
    """No file may grow beyond a kilobyte, as on a full disk."""
    full = f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)); {RUN}"
    done = subprocess.run(
        [sys.executable, "-c", full, "run", "-p", "0"],
        env=environ(home), capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"balancer: cannot make the proxy's CA in {home}: File too large"]


def test_a_mode_that_balances_nothing_is_told(home: Path) -> None:
    port = free_port()
    with started(home, "run", "-p", str(port), "-m", "reverse:https://api.anthropic.com") as process:
        wait_for(lambda: accepts(port))
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)

    assert "nothing is balanced in mode reverse:https://api.anthropic.com" in said
