"""opencode: `auth.json`, or $OPENCODE_AUTH_CONTENT instead of it (wire-facts 22.2; behaviour spec 1.4, 2.4)."""

from __future__ import annotations

import re
from typing import Any

from mitm_balancer.accounts.importing.codex import chatgpt
from mitm_balancer.accounts.importing.model import BadEntryError, Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.reading import json_object, maybe, part, read_place, seconds, texts, token
from mitm_balancer.accounts.model import Credential

CONTENT = "OPENCODE_AUTH_CONTENT"

_NAMES = {
    "github-copilot": "copilot",
    "github-copilot-enterprise": "copilot",
    "google": "gemini",
    "google-vertex": "vertex",
    "opencode-go": "opencode",
    "zai-coding-plan": "zai",
    "zhipuai": "bigmodel",
    "zhipuai-coding-plan": "bigmodel",
    "moonshotai": "moonshot",
    "moonshotai-cn": "moonshot-cn",
    "kimi-for-coding": "kimi",
    "togetherai": "together",
    "fireworks-ai": "fireworks",
    "alibaba": "qwen",
    "alibaba-cn": "qwen-cn",
}
"""opencode's (models.dev's) provider ids where they are not ours."""

_TRAILING = re.compile(r"[/\s]+$")


def look(harvest: Harvest, around: Surroundings) -> None:
    """The variable if it is set, which then stands for the whole file; else the file."""
    if CONTENT in around.env:
        parse(around.env[CONTENT].encode(), Place(f"${CONTENT}"), harvest, around)
        return
    found = read_place(around.data / "opencode" / "auth.json", harvest, around)
    if found is not None:
        parse(*found, harvest, around)


def parse(data: bytes, place: Place, harvest: Harvest, around: Surroundings) -> None:
    """Every entry by itself: what opencode's own reader drops altogether for one bad entry is told one by one."""
    with harvest.piece(place.text):
        for name, entry in json_object(data).items():
            with harvest.piece(f"{place.text}, {name}"):
                provider, credential = read_entry(name, part(entry, "the entry"), around)
                harvest.add(place, provider, credential, takes=((name,),))


def read_entry(name: str, entry: dict[str, Any], around: Surroundings) -> tuple[str, Credential]:
    """Our provider and the credential of one entry. Raises BadEntryError."""
    match entry.get("type"):
        case "api":
            provider, credential = our_name(name, around), Credential("api", token(entry.get("key"), "key"))
        case "oauth":
            provider, credential = _oauth(name, entry, around)
        case "wellknown":
            raise BadEntryError("is a login of your organisation's own server: declare that server under `providers`")
        case _:
            raise BadEntryError("has a type that is not known (api, oauth, wellknown)")
    if provider == "azure":
        raise BadEntryError("needs the address of your resource: declare it in config.yaml with `base_url`")
    return provider, credential


def our_name(name: str, around: Surroundings) -> str:
    """The balancer's provider of that id. Raises BadEntryError."""
    found = _NAMES.get(_TRAILING.sub("", name), name)
    if found not in around.providers:
        raise BadEntryError("is a provider that the balancer does not know: declare it under `providers` first")
    return found


def _oauth(name: str, entry: dict[str, Any], around: Surroundings) -> tuple[str, Credential]:
    refresh, access = maybe(entry.get("refresh"), "refresh"), token(entry.get("access"), "access")
    if name == "openai":
        tokens = {"access_token": access.reveal(), "account_id": entry.get("accountId")}
        if refresh is not None:
            tokens["refresh_token"] = refresh.reveal()
        return "codex", chatgpt(tokens)
    if name == "google":
        # Plugins put more than the token into `refresh`, each in its own way.
        raise BadEntryError("is a Google login of a plugin: run `balancer accounts login codeassist` instead")
    extra = texts(enterprise_url=entry.get("enterpriseUrl"))
    return our_name(name, around), Credential("oauth", access, refresh, seconds(entry.get("expires")), {}, extra)
