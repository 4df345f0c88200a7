"""`balancer exec`: the agent's exit code, signals and environment; and the life of the proxy behind it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import BALANCER, accepts, balancer, environ, free_port, started, wait_for

pytestmark = pytest.mark.e2e

PRINT_ENV = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_the_agent_gets_proxy_and_ca_and_gives_its_exit_code(home: Path) -> None:
    code = f"{PRINT_ENV}; raise SystemExit(7)"

    done = balancer(home, "exec", "--", sys.executable, "-c", code)

    assert done.returncode == 7
    found = json.loads(done.stdout)
    assert found["HTTPS_PROXY"].startswith("http://127.0.0.1:")
    assert Path(found["SSL_CERT_FILE"]).read_text().startswith((home / "mitmproxy-ca-cert.pem").read_text().strip())


def test_a_proxy_that_exec_started_ends_with_it(home: Path) -> None:
    code = "import os, socket; socket.create_connection(('127.0.0.1', int(os.environ['HTTPS_PROXY'][17:])))"

    port = free_port()
    done = balancer(home, "exec", "-p", str(port), "--", sys.executable, "-c", code)

    assert done.returncode == 0
    wait_for(lambda: not accepts(port))


def test_a_proxy_that_runs_is_used_and_left_running(home: Path) -> None:
    port = free_port()
    with started(home, "run", "-p", str(port)):
        wait_for(lambda: json.loads(balancer(home, "status", "--json").stdout)["proxy"])

        done = balancer(home, "exec", "--", sys.executable, "-c", PRINT_ENV)

        assert port_of(json.loads(done.stdout)["HTTPS_PROXY"]) == port
        assert accepts(port)


def test_two_agents_share_one_proxy_until_the_last_has_ended(home: Path, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    os.mkfifo(hold)
    waiting = f"{PRINT_ENV}; import sys; sys.stdout.flush(); open({str(hold)!r}).read()"
    with started(home, "exec", "--", sys.executable, "-c", waiting) as first:
        assert first.stdout is not None
        port = port_of(json.loads(first.stdout.readline())["HTTPS_PROXY"])

        second = balancer(home, "exec", "--", sys.executable, "-c", PRINT_ENV)

        assert port_of(json.loads(second.stdout)["HTTPS_PROXY"]) == port
        assert accepts(port)
        hold.write_text("")
        assert first.wait(5) == 0
    wait_for(lambda: not accepts(port))


def test_a_killed_exec_leaves_no_proxy(home: Path) -> None:
    with started(home, "exec", "--", sys.executable, "-c", f"{PRINT_ENV}; import time; time.sleep(60)") as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), True)
        port = wait_for(lambda: _port_in_log(home))
        os.kill(process.pid, signal.SIGKILL)

        wait_for(lambda: not accepts(port))


def _port_in_log(home: Path) -> int:
    log = home / "proxy.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return next((port_of(line.split()[-1]) for line in lines if "listens on" in line), 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_agent(home: Path, number: signal.Signals) -> None:
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with started(home, "exec", "--", sys.executable, "-c", code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)

        assert process.wait(5) == 42


def test_ctrl_c_in_a_terminal_reaches_the_agent_once(home: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "hits = []\n"
        "signal.signal(signal.SIGINT, lambda *_: hits.append(1))\n"
        "print('ready', flush=True)\n"
        "time.sleep(0.5)\n"
        "time.sleep(0.5)\n"
        "sys.exit(40 + len(hits))\n"
    )
    in_terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [sys.executable, "-c", in_terminal, *BALANCER, "exec", "--", sys.executable, "-c", code]
    with subprocess.Popen(command, env=environ(home), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while b"ready" not in process.stdout.readline():
            pass
        process.stdin.write(b"\x03")
        process.stdin.flush()
        process.stdout.read()

    assert process.returncode == 41


def test_an_agent_that_a_signal_ended_gives_what_a_shell_gives(home: Path) -> None:
    done = balancer(home, "exec", "--", "sh", "-c", "kill -9 $$")

    assert done.returncode == 128 + 9


@pytest.mark.parametrize(
    ("name", "code", "message"), [("no-such-agent", 127, "command not found"), ("{}", 126, "not ex")]
)
def test_an_agent_that_cannot_run_starts_nothing(
    home: Path, tmp_path: Path, name: str, code: int, message: str
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")

    done = balancer(home, "exec", "--", name.format(plain))

    assert done.returncode == code
    assert message in done.stderr
    assert not home.exists()


def test_a_proxy_that_does_not_start_shows_the_end_of_its_log(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "mitmproxy-ca.pem").write_text("no key")

    done = balancer(home, "exec", "--", "true")

    assert done.returncode == 1
    assert "the proxy did not start:" in done.stderr
    assert len(done.stderr.splitlines()) > 1


def test_env_prints_what_exec_sets(home: Path) -> None:
    refused = balancer(home, "env")
    assert refused.returncode == 1
    assert "no proxy runs" in refused.stderr

    with started(home, "run", "-p", "0"):
        wait_for(lambda: json.loads(balancer(home, "status", "--json").stdout)["proxy"])
        wanted = json.loads(balancer(home, "env", "--json").stdout)
        lines = balancer(home, "env", "--shell", "sh").stdout.splitlines()

    assert len(lines) == len(wanted)
    assert all(line.startswith("export ") for line in lines)


def test_a_proxy_that_wants_a_password_is_told_before_the_agent_starts(home: Path) -> None:
    with started(home, "run", "-p", "0", "--set", "proxyauth=user:CANARY"):
        found = wait_for(lambda: json.loads(balancer(home, "status", "--json").stdout)["proxy"])
        refused = balancer(home, "exec", "--", "true")
        told = balancer(home, "env", "--json")

    where = f"http://NAME:PASSWORD@{found['url'].removeprefix('http://')}"
    assert (refused.returncode, told.returncode) == (1, 0)
    assert where in refused.stderr
    assert where in told.stderr
    assert json.loads(told.stdout)["HTTPS_PROXY"] == found["url"]
    assert "CANARY" not in refused.stderr + told.stdout + told.stderr
