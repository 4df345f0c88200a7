"""Claude Code: its login in `.credentials.json`, its owner in `.claude.json` (wire-facts 1.6; as 2.1.197 has them)."""

from __future__ import annotations

from pathlib import Path

from mitm_balancer.accounts.importing.model import BadEntryError, Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.reading import json_object, maybe, part, read, read_place, seconds, texts, token
from mitm_balancer.accounts.model import Credential

KEYCHAIN = "Claude Code-credentials"
"""The macOS keychain's name for the same JSON."""


def look(harvest: Harvest, around: Surroundings) -> None:
    """The file of this user, or why there is none."""
    path = around.folder_of("CLAUDE_CONFIG_DIR", ".claude") / ".credentials.json"
    found = read_place(path, harvest, around)
    if found is not None:
        parse(*found, harvest, around)
    elif around.platform == "darwin" and not path.exists():
        harvest.problem(
            f"keychain item {KEYCHAIN}",
            "macOS asks you before a program may read it, so it is not read here. If Claude Code is logged in, hand it "
            f"over: security find-generic-password -s '{KEYCHAIN}' -w | balancer accounts import --from claude "
            "--file - --yes",
        )


def parse(data: bytes, place: Place, harvest: Harvest, around: Surroundings) -> None:
    """The login in that file. Its file names no owner: that is in Claude Code's own settings beside it."""
    with harvest.piece(place.text):
        content = json_object(data)
        if content.get("claudeAiOauth") is None:
            if "mcpOAuth" in content:
                return  # logged in at MCP servers only
            raise BadEntryError("holds no login (claudeAiOauth)")
        login = part(content["claudeAiOauth"], "claudeAiOauth")
        if login.get("accessToken") == "" and login.get("refreshToken") == "":
            raise BadEntryError("its tokens are empty: a login is under way, try again in a moment")
        scopes = login.get("scopes")
        credential = Credential(
            "oauth",
            token(login.get("accessToken"), "accessToken"),
            maybe(login.get("refreshToken"), "refreshToken"),
            seconds(login.get("expiresAt")),
            _owner(harvest, around, place) | texts(plan=login.get("subscriptionType"), tier=login.get("rateLimitTier")),
            texts(scope=" ".join(map(str, scopes)) if isinstance(scopes, list) else None),
        )
        harvest.add(place, "anthropic", credential, takes=(("claudeAiOauth",),))


def _owner(harvest: Harvest, around: Surroundings, place: Place) -> dict[str, str]:
    """E-mail and ids, for the login of this user only: another file's may be anybody's."""
    moved = around.env.get("CLAUDE_CONFIG_DIR")
    folder = Path(moved).expanduser() if moved else around.home
    keychain = place.path is None and around.platform == "darwin"
    if not keychain and place.path != around.folder_of("CLAUDE_CONFIG_DIR", ".claude") / ".credentials.json":
        return {}
    settings = folder / ".claude.json"
    with harvest.piece(around.shown(settings)):
        data = read(settings)
        owner = {} if data is None else json_object(data).get("oauthAccount")
        if isinstance(owner, dict):
            return texts(
                email=owner.get("emailAddress"), account_uuid=owner.get("accountUuid"),
                org=owner.get("organizationUuid"), org_name=owner.get("organizationName"),
            )  # fmt: skip
    return {}
