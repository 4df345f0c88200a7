"""A proxy in the background, for the life of the agents that `exec` runs."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mitm_balancer.cli.bus import Proxy
from mitm_balancer.cli.cabundle import CA_NAME
from mitm_balancer.cli.clientenv import without_ourselves
from mitm_balancer.cli.output import CliError

LOG = "proxy.log"

START_TIMEOUT = 30.0
"""Seconds until a proxy listens; a first start makes the CA and takes one or two on a slow machine."""

LOG_TAIL = 12
"""Lines of the log that are shown when a start failed."""


def start(home: Path, options: Sequence[str], port: int, lock: Path) -> Proxy:
    """Start `balancer run` in a session of its own and wait until it listens. It ends when nobody holds `lock`.

    `options` are the common ones. Its output goes to `proxy.log` in the home. Raises CliError with the log's end.
    """
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "mitm_balancer.cli", *options, "run", "--listen-port", str(port)]
    command += ["--ready-fd", str(writing), "--while-locked", str(lock)]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=_log(home),
            stderr=subprocess.STDOUT,
            env=without_ourselves(os.environ),
            pass_fds=(writing,),
            start_new_session=True,  # Ctrl-C is for the agent
        )
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        told = _line(pipe.fileno(), time.monotonic() + START_TIMEOUT)
    if not told:
        process.kill()
        process.wait()
        raise CliError(f"the proxy did not start:\n{_tail(home / LOG)}")
    state = json.loads(told)
    return Proxy(state["pid"], state["host"], state["port"], home / CA_NAME)


def _line(handle: int, deadline: float) -> bytes:
    """All that comes until the other side closes; nothing when that takes too long."""
    told = b""
    while (left := deadline - time.monotonic()) > 0 and select.select([handle], [], [], left)[0]:
        part = os.read(handle, 4096)
        if not part:
            return told
        told += part
    return b""


def _log(home: Path) -> int:
    """Begun anew by every background proxy: the audit trail is in the store, not here."""
    return os.open(home / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def _tail(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
    return "\n".join(f"  {line}" for line in lines) or f"  ({path} is empty)"
