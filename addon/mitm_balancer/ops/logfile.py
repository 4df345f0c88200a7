"""Where lines go: a file that is rotated by size, or standard output. Used by one thread, which may block here."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import Protocol

from mitm_balancer.config.observing import FILE, OFF, STDOUT, Audit

PRIVATE = 0o600

AUDIT_FILE = "audit.ndjson"


class Sink(Protocol):
    """Takes whole lines. Raises OSError."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


READER_PATIENCE = 1.0
"""Seconds that the reader of standard output may take nothing: traces and notices wait meanwhile."""

PIECE = 512
"""Bytes: POSIX's least PIPE_BUF, which a pipe that can be written takes without waiting."""


class StandardOutput:
    """Past Python's buffers, so that a line is there when it is written. A reader that stands still loses lines."""

    def __init__(self) -> None:
        self._cut = False
        """The last line was not written to its end."""

    def write(self, data: bytes) -> None:
        handle = sys.stdout.fileno()
        if self._cut:
            data = b"\n" + data
        while data:
            if not _writable(handle):
                self._cut = True
                raise TimeoutError("nobody reads standard output")
            data = data[os.write(handle, data[:PIECE]) :]
        self._cut = False

    def close(self) -> None:
        """It is not ours to close."""


def _writable(handle: int) -> bool:
    if os.name == "nt":
        return True  # select knows sockets only there
    return bool(select.select([], [handle], [], READER_PATIENCE)[1])


class RotatedFile:
    """`path`, and behind it `path.1` (the newest) to `path.<keep>`. Private from its first moment on.

    A file that somebody else has moved away is made anew, so logrotate, or a second proxy, may rotate it too.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self.path, self._max_bytes, self._keep = path, max_bytes, keep
        self._handle: int | None = None
        self._size = 0

    def write(self, data: bytes) -> None:
        if self._handle is not None and self._moved():
            self.close()
        if self._handle is None:
            self._open()
        if self._size and self._size + len(data) > self._max_bytes:
            self.close()
            self._rotate()
            self._open()
        assert self._handle is not None
        try:
            while data:
                written = os.write(self._handle, data)
                self._size += written
                data = data[written:]
        except OSError:
            self.close()  # a line may be there in part: the next `_open` sees to that
            raise

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._handle = os.open(self.path, flags, PRIVATE)
        self._size = os.fstat(self._handle).st_size  # of a device: 0
        if self._size and self._is_cut():
            self._size += os.write(self._handle, b"\n")

    def _is_cut(self) -> bool:
        """Whether a full disk, or a kill, has left a part of a line."""
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"

    def _moved(self) -> bool:
        assert self._handle is not None
        ours = os.fstat(self._handle)
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return True
        return (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino)

    def _rotate(self) -> None:
        if self._keep == 0:
            self.path.unlink(missing_ok=True)
            return
        for number in range(self._keep - 1, 0, -1):
            if (old := numbered(self.path, number)).exists():
                old.replace(numbered(self.path, number + 1))
        if self.path.exists():
            self.path.replace(numbered(self.path, 1))


def numbered(path: Path, number: int) -> Path:
    """The file that was put aside as the `number`th."""
    return path.with_name(f"{path.name}.{number}")


def audit_path(audit: Audit, home: Path, source: Path | None) -> Path | None:
    """The file of the audit log; None: there is none. A relative path begins at the configuration's folder."""
    if audit.to in (OFF, STDOUT):
        return None
    if audit.to == FILE:
        return home / AUDIT_FILE
    return (source.parent if source is not None else home) / Path(audit.to).expanduser()
