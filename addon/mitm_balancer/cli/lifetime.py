"""How long a proxy lives that `exec` started: as long as any `exec` of its home does.

Every `exec` holds a shared lock on one file while its agent runs. The system takes the lock away when the process ends,
however it ends, so nothing is left behind by kill -9 and no process need be counted. The proxy asks once a second for
the exclusive lock; when it gets it, nobody is left, and it stops. Until it has stopped, a new `exec` waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

USERS = "exec.lock"
"""Shared by those who use the proxy."""

START = "exec-start.lock"
"""Held while one looks for a proxy or starts it, so that two do not start two."""

LOOK_EVERY = 1.0
"""Seconds."""


@contextlib.contextmanager
def held(path: Path, *, shared: bool) -> Iterator[None]:
    """Hold the lock; waits for it. Programs that we start do not inherit it."""
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def end_when_unused(path: Path) -> None:
    """From now on, end this process (SIGTERM) once nobody holds the lock."""
    threading.Thread(target=_watch, args=(path,), name="while-locked", daemon=True).start()


def _watch(path: Path) -> None:
    handle = _open(path)
    while True:
        time.sleep(LOOK_EVERY)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Kept to the end of the process: who comes now waits until this proxy is gone, then starts a new one.
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
