"""GitHub Copilot: the editors' `apps.json` and `hosts.json`, Copilot CLI's `config.json` (wire-facts 4.6; CLI 1.0.102).

A GitHub token does not rotate, so it may have several owners. It is the refresh token as well: it renews the
short-lived Copilot token where one is needed.
"""

from __future__ import annotations

import re

from mitm_balancer.accounts.importing.model import BadEntryError, Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.reading import json_object, part, read_place, texts, token
from mitm_balancer.accounts.model import Credential

_COMMENT = re.compile(rb"^\s*//[^\n]*$", re.MULTILINE)
"""Copilot CLI begins its file with comment lines."""

_HOST = "github.com"


def look(harvest: Harvest, around: Surroundings) -> None:
    """The CLI's file, then the editors'."""
    editors = around.config / "github-copilot"
    cli = around.folder_of("COPILOT_HOME", ".copilot") / "config.json"
    for path in (cli, editors / "apps.json", editors / "hosts.json"):
        found = read_place(path, harvest, around)
        if found is not None:
            _file(*found, harvest, around, quiet=path == cli)


def parse(data: bytes, place: Place, harvest: Harvest, around: Surroundings) -> None:
    """Any of the three: their entries tell which one it is."""
    _file(data, place, harvest, around, quiet=False)


def _file(data: bytes, place: Place, harvest: Harvest, around: Surroundings, *, quiet: bool) -> None:
    with harvest.piece(place.text):
        content = json_object(_COMMENT.sub(b"", data))
        before = len(harvest.found) + len(harvest.problems)
        if "authTokens" in content:
            _of_the_cli(part(content["authTokens"], "authTokens"), place, harvest)
        else:
            _of_an_editor(content, place, harvest)
        if before == len(harvest.found) + len(harvest.problems):
            if quiet and not around.env.get("DBUS_SESSION_BUS_ADDRESS") and around.platform not in ("darwin", "win32"):
                return
            raise BadEntryError(
                "holds no token; Copilot CLI keeps it in the system's keyring where there is one: "
                "run `balancer accounts login copilot`"
            )


def _of_the_cli(tokens: dict[str, object], place: Place, harvest: Harvest) -> None:
    """`https://github.com:octocat`, and the same with a kind behind it, each with the token."""
    seen: set[tuple[str, str]] = set()
    for name, entry in tokens.items():
        with harvest.piece(f"{place.text}, {name}"):
            scheme, _, rest = name.partition("://")
            host, _, user = rest.partition(":")
            if scheme != "https" or not host:
                raise BadEntryError("is not named after a host")
            secret = token(part(entry, "the entry").get("token"), "token")
            if (host, secret.reveal()) in seen:
                continue
            seen.add((host, secret.reveal()))
            _add(place, harvest, secret.reveal(), host, user.partition(":")[0])


def _of_an_editor(content: dict[str, object], place: Place, harvest: Harvest) -> None:
    """`github.com`, or `github.com:<client id>`: {user, oauth_token}."""
    for name, entry in content.items():
        if not (isinstance(entry, dict) and "oauth_token" in entry):
            continue
        with harvest.piece(f"{place.text}, {name}"):
            host, _, client = name.partition(":")
            secret = token(entry["oauth_token"], "oauth_token")
            _add(place, harvest, secret.reveal(), host, entry.get("user"), client)


def _add(place: Place, harvest: Harvest, secret: str, host: str, user: object, client: str = "") -> None:
    github = token(secret, "token")
    if github.reveal().startswith("ghp_"):
        raise BadEntryError("is a classic personal access token, which Copilot does not take")
    extra = texts(client_id=client, enterprise_url=None if host == _HOST else f"https://{host}")
    alias = user if isinstance(user, str) else ""
    harvest.add(place, "copilot", Credential("oauth", github, github, None, texts(user=user), extra), alias=alias)
