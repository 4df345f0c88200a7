"""The balancer's home: a folder that is private from its first moment on, and the files in it.

Modes are given at creation, never afterwards: between a create and a chmod another user could open the file.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has neither modes nor flock
    fcntl = None  # type: ignore[assignment]

DATABASE = "balancer.sqlite"
LOCK_WAIT = 5.0
"""Seconds to wait for another process that opens or repairs the same database."""


class StoreError(Exception):
    """The store may not be used; the text says what to do about it."""


def private_home(home: Path) -> None:
    """Make the folder with mode 0700, or check that it has it. Raises StoreError with the cure, or OSError."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check(home, "700")
    except FileExistsError:
        raise StoreError(f"{home} is not a folder: choose another balancer_home") from None


def private_file(path: Path) -> bool:
    """Make an empty file with mode 0600 (True), or check the modes of it and of its companions (False)."""
    try:
        create(path)
    except FileExistsError:
        for file in family(path):
            with contextlib.suppress(FileNotFoundError):
                _check(file, "600")
                _follow(path, file)
        return False
    return True


def _follow(path: Path, companion: Path) -> None:
    """SQLite gives companions the database's mode: those made while it was read-only stay so, and block writing."""
    if os.access(path, os.W_OK) and not companion.stat().st_mode & 0o200:
        with contextlib.suppress(PermissionError):
            companion.chmod(0o600)


def create(path: Path) -> None:
    """Make an empty file that has mode 0600 from its first moment on. Raises FileExistsError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def family(path: Path) -> tuple[Path, ...]:
    """A database file and the two that SQLite keeps beside it."""
    return tuple(path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm"))


@contextlib.contextmanager
def locked(home: Path, wait: float = LOCK_WAIT) -> Iterator[bool]:
    """Only one process at a time opens, repairs or backs up: two that repair would move each other's files away.

    Goes on after `wait` seconds in any case, because a stuck process must not stop this one; tells whether it has the
    lock. Not reentrant.
    """
    if fcntl is None:  # pragma: no cover
        yield True
        return
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + wait
        while not (held := _lock(folder)) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield held
    finally:
        os.close(folder)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check(path: Path, mode: str) -> None:
    found = path.stat().st_mode & 0o777
    if os.name == "posix" and found & 0o077:
        raise StoreError(f"{path} is open to other users ({found:04o}): chmod {mode} {path}")
