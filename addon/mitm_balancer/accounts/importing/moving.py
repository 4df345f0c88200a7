"""Taking a login out of an agent's own file, so that its refresh token has one owner.

The rest of the file stays as it is, and so do its mode and its owner's links; a copy of what it was is left beside it.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from mitm_balancer.accounts.importing.model import BadEntryError, Login
from mitm_balancer.accounts.importing.reading import json_object, read
from mitm_balancer.files import replace

BACKUP = ".before-mitm-balancer"


def take_out(login: Login) -> Path:
    """Remove the login from its file, in one move; returns the backup. Raises BadEntryError: the file is untouched."""
    path = login.path.resolve()
    data = read(path)
    if data is None:
        raise BadEntryError("does not exist any more")
    rest = _without(json_object(data), login.keys) if login.keys else {}
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        backup = path.with_name(path.name + BACKUP)
        replace(backup, data, mode & 0o600)
        if rest:
            replace(path, (json.dumps(rest, indent=2, ensure_ascii=False) + "\n").encode(), mode)
        else:
            path.unlink()
    except OSError as error:
        raise BadEntryError(f"cannot be changed: {error.strerror}") from None
    return backup


def _without(content: dict[str, Any], keys: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    for way in keys:
        place: Any = content
        for key in way[:-1]:
            place = place.get(key) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.pop(way[-1], None)
    return content
