"""Writing a file so that a reader sees the old one or the new one, and nobody else sees either."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(target: Path, text: str) -> None:
    """Put the text in the place of the file, mode 0600 (mkstemp's own). OSError leaves the old one, and no litter."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
