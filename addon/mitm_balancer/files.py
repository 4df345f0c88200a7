"""Writing a file so that a reader, and a crash, sees the old one or the new one, and nobody else sees either."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(target: Path, data: bytes, mode: int = 0o600) -> None:
    """Put the bytes in the place of the file. OSError leaves the old one, and no litter."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        Path(name).chmod(mode)  # it was private until here
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
