"""Gemini CLI: its Google login in `oauth_creds.json`, its keys in `.gemini/.env` (wire-facts 6.4; Gemini CLI 0.61)."""

from __future__ import annotations

from pathlib import Path

from mitm_balancer.accounts.importing import envfile
from mitm_balancer.accounts.importing.model import Harvest, Place, Surroundings
from mitm_balancer.accounts.importing.reading import json_object, maybe, read, read_place, seconds, texts, token
from mitm_balancer.accounts.model import Credential
from mitm_balancer.providers.identity import jwt_claims


def look(harvest: Harvest, around: Surroundings) -> None:
    """The login, and the keys of the file beside it."""
    folder = _folder(around)
    path = folder / "oauth_creds.json"
    found = read_place(path, harvest, around)
    if found is not None:
        parse(*found, harvest, around)
    elif (sealed := folder / "gemini-credentials.json").exists():
        harvest.problem(
            around.shown(sealed),
            "is sealed by Gemini CLI and only it can open it: run `balancer accounts login codeassist` instead",
        )
    keys = read_place(folder / ".env", harvest, around)
    if keys is not None:
        envfile.parse(*keys, harvest, around)


def parse(data: bytes, place: Place, harvest: Harvest, around: Surroundings) -> None:
    """The login. Its refresh token does not rotate, so it may have several owners."""
    with harvest.piece(place.text):
        content = json_object(data)
        claims = jwt_claims(str(content.get("id_token") or ""))
        credential = Credential(
            "oauth",
            token(content.get("access_token"), "access_token"),
            maybe(content.get("refresh_token"), "refresh_token"),
            seconds(content.get("expiry_date")),
            texts(email=claims.get("email") or _email(place, harvest, around), project=_project(around)),
            texts(client_id=claims.get("azp") or claims.get("aud"), scope=content.get("scope")),
        )
        harvest.add(place, "codeassist", credential, takes=())


def _folder(around: Surroundings) -> Path:
    return around.folder_of("GEMINI_CLI_HOME") / ".gemini"


def _project(around: Surroundings) -> str | None:
    return around.env.get("GOOGLE_CLOUD_PROJECT") or around.env.get("GOOGLE_CLOUD_PROJECT_ID")


def _email(place: Place, harvest: Harvest, around: Surroundings) -> object:
    """Who is logged in, by Gemini CLI's own note."""
    if place.path is None:
        return None
    note = place.path.with_name("google_accounts.json")
    with harvest.piece(around.shown(note)):
        data = read(note)
        return None if data is None else json_object(data).get("active")
    return None
