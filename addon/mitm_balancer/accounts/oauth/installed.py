"""Google's "client secret" of an installed program, read from the program that the user has.

Google's own words: for an installed application it is no secret. It is in no file of ours all the same, because those
who scan for secrets cannot know that. Sources, in order: the account, the environment, the installed Gemini CLI.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from pathlib import Path

VARIABLE = "BALANCER_GOOGLE_CLIENT_SECRET"

_SECRET = re.compile(rb"GOCSPX-[A-Za-z0-9_-]{20,40}")
_NEAR = 2000
"""Bytes between the client id and its secret in the program's text; they stand on neighbouring lines."""

_MOST = 64 * 1024 * 1024


@functools.lru_cache(maxsize=8)
def client_secret(program: str, client_id: str) -> str:
    """The secret that stands beside this id in that program, or "". Reads files: blocks."""
    if found := os.environ.get(VARIABLE, "").strip():
        return found
    path = shutil.which(program)
    if path is None:
        return ""
    folder = _package(Path(path).resolve())
    if folder is None:
        return ""
    for file in sorted(folder.rglob("*.js")):
        if found := _in(file, client_id.encode()):
            return found
    return ""


def _package(path: Path) -> Path | None:
    """The folder of the program's package: the nearest one above with a package.json."""
    return next((folder for folder in path.parents if (folder / "package.json").is_file()), None)


def _in(file: Path, client_id: bytes) -> str:
    try:
        if file.stat().st_size > _MOST:
            return ""
        text = file.read_bytes()
    except OSError:
        return ""
    place = text.find(client_id)
    if place < 0:
        return ""
    found = _SECRET.search(text, max(0, place - _NEAR), place + _NEAR)
    return found[0].decode() if found else ""
