"""Child processes of the bench: start one, wait until it listens, read what it used, stop it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT = 30.0
"""Seconds. A cold mitmdump that makes its CA needs one or two."""
STOP_LIMIT = 10.0
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The bench cannot run, or what it ran did not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process that listens on `port` of 127.0.0.1."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        """End it politely, then by force."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def start(argv: Sequence[str], port: int, log: Path, extra_env: dict[str, str] | None = None) -> Child:
    """Start `argv`, and return once it accepts connections on `port`. Its output goes to `log`."""
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")} | (extra_env or {})
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=ROOT, env=env)
    child = Child(process, port, log)
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return child
        time.sleep(0.05)
    if process.poll() is None:
        child.stop()
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise BenchError(f"{Path(argv[0]).name} did not listen on port {port}:\n{tail}")


def module(name: str, *args: object) -> list[str]:
    """The command line of a module of this package, run by this interpreter."""
    return [sys.executable, "-m", f"bench.{name}", *map(str, args)]


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(p) for p in task.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its descendants so far."""
    total = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def peak_rss_mib(pid: int) -> float:
    """The highest resident size since the start, summed over the process and its descendants."""
    total = 0
    for member in family(pid):
        for line in Path(f"/proc/{member}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                total += int(line.split()[1])
    return total / 1024
