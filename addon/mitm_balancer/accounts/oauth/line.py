"""Waiting in line over all processes of this machine: an advisory lock on a file, let go by the kernel at any death."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

LOOK_AGAIN = 0.05
"""Seconds between two looks while another process is at it; a refresh takes some tenths."""

FOLDER = "locks"


@contextlib.asynccontextmanager
async def in_line(home: Path, name: str, patience: float) -> AsyncIterator[None]:
    """Hold the lock of that name. Raises TimeoutError after `patience` seconds, OSError when there can be no lock.

    The event loop is never blocked, and no thread is held while waiting: threads are few, and the store needs them.
    """
    folder = home / FOLDER
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    lock = FileLock(folder / f"refresh-{digest}.lock", mode=0o600, thread_local=False)
    async with asyncio.timeout(patience):
        while not await asyncio.to_thread(_try, lock, folder):  # noqa: ASYNC110 - no event comes from other processes
            await asyncio.sleep(LOOK_AGAIN)
    try:
        yield
    finally:
        lock.release()


def _try(lock: BaseFileLock, folder: Path) -> bool:
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True
