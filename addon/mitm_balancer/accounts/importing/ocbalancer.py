"""opencode-balancer: its `balancer.sqlite`, schema 1 (behaviour spec 1.1 to 1.4), and the JSON store of its 0.1.x.

That store is `{"version": 1, "providers": {<id>: {"active", "accounts": {<alias>: {"alias", "auth", ...}}}}}`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mitm_balancer.accounts.importing.model import BadEntryError, Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.opencode import read_entry
from mitm_balancer.accounts.importing.reading import json_object, part, read, texts

DATABASE, OLD_STORE = "balancer.sqlite", "balancer-accounts.json"

_MAGIC = b"SQLite format 3\0"
_QUERY = "SELECT provider_id, alias, auth_json, disabled FROM accounts ORDER BY provider_id, alias"


def look(harvest: Harvest, around: Surroundings) -> None:
    """The database; the old store only where there is no database, because 0.2 never read it."""
    folder = around.folder_of("OPENCODE_CONFIG_DIR") if around.env.get("OPENCODE_CONFIG_DIR") else _default(around)
    path = folder / DATABASE
    if not path.exists():
        path = folder / OLD_STORE
    if path.exists():
        place = around.place(path)
        with harvest.piece(place.text):
            parse(read(path) or b"", place, harvest, around)


def parse(data: bytes, place: Place, harvest: Harvest, around: Surroundings) -> None:
    """Every row by itself: in the original one bad row breaks all of them."""
    with harvest.piece(place.text):
        if not data.startswith(_MAGIC):
            _old(json_object(data), place, harvest, around)
            return
        if place.path is None:
            raise BadEntryError("a database cannot come through a pipe: name its file")
        with _opened(place.path) as connection:
            try:
                rows = connection.execute(_QUERY).fetchall()
            except sqlite3.Error as error:
                raise BadEntryError(f"is not a database of opencode-balancer: {error}") from None
        for provider, alias, auth, disabled in rows:
            with harvest.piece(f"{place.text}, {provider}/{alias}"):
                if not all(isinstance(value, str) for value in (provider, alias, auth)):
                    raise BadEntryError("its row is damaged")
                _add(provider, alias, json_object(auth), place, harvest, around, disabled=disabled == 1)


def _add(
    provider: str, alias: str, auth: dict[str, Any], place: Place, harvest: Harvest, around: Surroundings, *,
    disabled: bool,
) -> None:  # fmt: skip
    ours, credential = read_entry(provider, auth, around)
    harvest.add(place, ours, credential, alias=alias, disabled=disabled)


def _old(content: dict[str, Any], place: Place, harvest: Harvest, around: Surroundings) -> None:
    if content.get("version") != 1 or "providers" not in content:
        raise BadEntryError("is not a store of opencode-balancer 0.1")
    for provider, state in part(content["providers"], "providers").items():
        with harvest.piece(f"{place.text}, {provider}"):
            for alias, account in part(part(state, "the entry").get("accounts"), "accounts").items():
                with harvest.piece(f"{place.text}, {provider}/{alias}"):
                    auth = part(part(account, "the account").get("auth"), "auth")
                    _add(provider, texts(a=alias).get("a", ""), auth, place, harvest, around, disabled=False)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """For reading only: its owner may be at work. Raises BadEntryError."""
    address = f"file:{quote(str(path.absolute()))}"
    for mode in ("mode=ro", "immutable=1"):  # the second for a folder where no companion file can be made
        try:
            connection = sqlite3.connect(f"{address}?{mode}", uri=True, timeout=5.0)
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            trouble = str(error)
            continue
        with contextlib.closing(connection):
            yield connection
        return
    raise BadEntryError(f"cannot be opened: {trouble}")


def _default(around: Surroundings) -> Path:
    """XDG on every system; a database that 0.2.11 and earlier left in Windows' own place is found, too."""
    folder = around.config / "opencode"
    local = around.env.get("LOCALAPPDATA")
    if local and not around.env.get("XDG_CONFIG_HOME") and not (folder / DATABASE).exists():
        rescued = Path(local) / "opencode"
        return rescued if (rescued / DATABASE).exists() else folder
    return folder
