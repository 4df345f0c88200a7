"""Kimi's own CLIs: one file per login (wire-facts 17.6)."""

from __future__ import annotations

from mitm_balancer.accounts.importing.model import Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.reading import json_object, maybe, read_place, texts, token
from mitm_balancer.accounts.model import Credential


def look(harvest: Harvest, around: Surroundings) -> None:
    """Both products' folders."""
    folders = (around.folder_of("KIMI_SHARE_DIR", ".kimi"), around.home / ".kimi-code")
    for path in (path for folder in folders for path in sorted((folder / "credentials").glob("*.json"))):
        found = read_place(path, harvest, around)
        if found is not None:
            parse(*found, harvest, around)


def parse(data: bytes, place: Place, harvest: Harvest, around: Surroundings) -> None:  # noqa: ARG001 - as all parsers
    """One login; the file is nothing else."""
    with harvest.piece(place.text):
        content = json_object(data)
        ends = content.get("expires_at")  # seconds, here
        credential = Credential(
            "oauth",
            token(content.get("access_token"), "access_token"),
            maybe(content.get("refresh_token"), "refresh_token"),
            float(ends) if isinstance(ends, (int, float)) and not isinstance(ends, bool) and ends > 0 else None,
            {},
            texts(scope=content.get("scope")),
        )
        harvest.add(place, "kimi", credential, takes=())
