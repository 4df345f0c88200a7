"""aider: keys in `.env` files, in `.aider.conf.yml`, and OpenRouter's in `oauth-keys.env` (wire-facts 22.2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from mitm_balancer.accounts.importing import envfile
from mitm_balancer.accounts.importing.envnames import KEYS
from mitm_balancer.accounts.importing.model import BadEntryError, Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.reading import read_place, token
from mitm_balancer.accounts.model import Credential

CONFIG = ".aider.conf.yml"
_ONE = {"openai-api-key": "openai", "anthropic-api-key": "anthropic"}
"""The two that have a key of their own; all others stand in `api-key: [provider=key]`."""


def look(harvest: Harvest, around: Surroundings) -> None:
    """Where aider itself looks: home, the repository's root, the working directory; and its own file of keys."""
    folders = tuple(dict.fromkeys((around.home, _root(around.folder), around.folder)))
    files = [folder / name for name in (".env", CONFIG) for folder in folders]
    for path in (*files, around.home / ".aider" / "oauth-keys.env"):
        found = read_place(path, harvest, around)
        if found is not None:
            parse(*found, harvest, around)


def parse(data: bytes, place: Place, harvest: Harvest, around: Surroundings) -> None:
    """Either kind of file; the name tells which."""
    if place.path is None or place.path.suffix not in (".yml", ".yaml"):
        envfile.parse(data, place, harvest, around)
        return
    with harvest.piece(place.text):
        try:
            content = yaml.safe_load(data)
        except (yaml.YAMLError, UnicodeDecodeError):
            raise BadEntryError("is not YAML") from None
        if not isinstance(content, dict):
            return
        for key, provider, value in _keys(content):
            with harvest.piece(f"{place.text}, {key}"):
                if "openai-api-base" in content and provider == "openai":
                    raise BadEntryError("belongs to the address in openai-api-base, not to openai")
                harvest.add(place, provider, Credential("api", token(value, key)))


def _keys(content: dict[object, object]) -> Iterator[tuple[str, str, object]]:
    """(what it is called there, provider, value)."""
    for key, provider in _ONE.items():
        if content.get(key):
            yield key, provider, content[key]
    listed = content.get("api-key")
    for entry in listed if isinstance(listed, list) else [listed]:
        name, equals, value = str(entry or "").partition("=")
        # aider sets NAME_API_KEY for it.
        variable = name.strip().upper().replace("-", "_") + "_API_KEY"
        if equals and variable in KEYS:
            yield f"api-key {name.strip()}", KEYS[variable], value


def _root(folder: Path) -> Path:
    """The repository's, or the folder itself."""
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)
