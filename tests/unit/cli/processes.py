"""Real `balancer` processes for the tests, each with a home of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BALANCER = (sys.executable, "-m", "mitm_balancer.cli")
ADDON = Path(__file__).resolve().parents[3] / "addon"

TIMEOUT = 20.0


def environ(home: Path, **more: str) -> dict[str, str]:
    """Without the caller's proxies and balancer."""
    kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("BALANCER")}
    return {**kept, "BALANCER_HOME": str(home), "PYTHONPATH": str(ADDON), "PYTHONUNBUFFERED": "1", **more}


def balancer(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [*BALANCER, *words], env=environ(home, **more), capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


@contextmanager
def started(home: Path, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Running inside the block; killed after it if it is still there."""
    process = subprocess.Popen(
        [*BALANCER, *words],
        env=environ(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for[T](look: Callable[[], T], timeout: float = TIMEOUT) -> T:
    """The first true answer; AssertionError when none comes."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout} s in vain")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
