"""Reading what agents keep: bytes, JSON, tokens. Errors never quote what was read (P7)."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from mitm_balancer.accounts.credentials import CredentialError, checked
from mitm_balancer.accounts.importing.model import LARGEST, BadEntryError, Harvest, Place, Surroundings
from mitm_balancer.secrets import Secret

LONGEST = 16 * 1024
"""Characters of a token: a ChatGPT one has two thousand."""


def read(path: Path) -> bytes | None:
    """The whole file; None when there is none. Raises BadEntryError for one that cannot be read."""
    try:
        # Not blocking: a FIFO would hold us for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadEntryError(f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadEntryError("is not a regular file")
    try:
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise BadEntryError(f"cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise BadEntryError(f"is larger than {LARGEST} bytes")
    return data


def read_place(path: Path, harvest: Harvest, around: Surroundings) -> tuple[bytes, Place] | None:
    """The file and its place; None when there is none, or when its trouble has been told."""
    place = around.place(path)
    with harvest.piece(place.text):
        data = read(path)
        return None if data is None else (data, place)
    return None


def json_object(data: bytes | str) -> dict[str, Any]:
    """One JSON object. Raises BadEntryError that names the line."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        found = json.loads(text)
    except UnicodeDecodeError:
        raise BadEntryError("is not text") from None
    except json.JSONDecodeError as error:
        raise BadEntryError(f"is not JSON (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise BadEntryError("is not JSON") from None
    if not isinstance(found, dict):
        raise BadEntryError("is not a JSON object")
    return found


def part(found: object, name: str) -> dict[str, Any]:
    """What must be an object. Raises BadEntryError."""
    if not isinstance(found, dict):
        raise BadEntryError(f"{name} is not an object")
    return found


def token(found: object, name: str) -> Secret:
    """What must be a credential. Raises BadEntryError."""
    if not isinstance(found, str):
        raise BadEntryError(f"{name} is missing" if found is None else f"{name} is not a text")
    if not found.strip():
        raise BadEntryError(f"{name} is empty")
    if len(found) > LONGEST:
        raise BadEntryError(f"{name} has more than {LONGEST} characters")
    try:
        return checked(found, name)
    except CredentialError as error:
        raise BadEntryError(str(error)) from None


def maybe(found: object, name: str) -> Secret | None:
    """A credential that need not be there. Raises BadEntryError for one that is there and bad."""
    return None if found is None or found == "" else token(found, name)


def seconds(milliseconds: object) -> float | None:
    """A time in milliseconds as agents keep it; None for 0 and for what is no number."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)):
        return None
    return milliseconds / 1000 if 0 < milliseconds < 1e16 else None


def texts(**found: object) -> dict[str, str]:
    """Those that are short, printable texts: names, ids, plans."""
    return {
        word: value
        for word, value in found.items()
        if isinstance(value, str) and value and value.isprintable() and len(value) <= 256
    }
