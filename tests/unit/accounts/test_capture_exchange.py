"""What a copy of a call to a token endpoint tells, in the forms that the real clients use (wire-facts x.6)."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest

from mitm_balancer.accounts.exchange import Exchange, read_exchange
from mitm_balancer.providers.logins import ENDPOINTS, TokenEndpoint, endpoints_at
from unit.accounts.importing.clientfiles import CHATGPT, jwt

NOW = 1_800_000_000.0
CODEX_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
GEMINI_ID = "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"
ANTHROPIC, CODEX, GOOGLE = (
    next(one for one in ENDPOINTS if one.host == host)
    for host in ("platform.claude.com", "auth.openai.com", "oauth2.googleapis.com")
)


def form(**fields: str) -> bytes:
    return urllib.parse.urlencode(fields).encode()


def read(endpoint: TokenEndpoint, asked: bytes | dict[str, Any], told: Any) -> Exchange | None:
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    return read_exchange(endpoint, body, told if isinstance(told, bytes) else json.dumps(told).encode(), NOW)


def test_claude_code_refreshes() -> None:
    asked = {"grant_type": "refresh_token", "refresh_token": "first", "client_id": "9d1c", "scope": "user:profile"}
    who = {"account": {"uuid": "u", "email_address": "ann@example.com"}, "organization": {"uuid": "o", "name": "Org"}}
    told = {"access_token": "access", "refresh_token": "second", "expires_in": 28800, "scope": "user:profile", **who}
    found = read(ANTHROPIC, asked, told)
    assert found is not None
    credential = found.credential
    assert (found.provider, found.used and found.used.reveal()) == ("anthropic", "first")
    assert (credential.secret.reveal(), credential.refresh and credential.refresh.reveal()) == ("access", "second")
    assert credential.expires_at == NOW + 28800
    assert credential.identity == {"account_uuid": "u", "email": "ann@example.com", "org": "o", "org_name": "Org"}
    assert credential.extra == {"client_id": "9d1c", "scope": "user:profile"}


def test_an_answer_without_a_refresh_token_keeps_the_one_that_was_used() -> None:
    asked = form(grant_type="refresh_token", refresh_token="kept", client_id=GEMINI_ID, client_secret="x")
    found = read(
        GOOGLE, asked, {"access_token": "ya29.a", "expires_in": 3599, "id_token": jwt(email="ann@example.com")}
    )
    assert found is not None
    assert found.credential.refresh is not None
    assert found.credential.refresh.reveal() == "kept"
    assert found.credential.identity == {"email": "ann@example.com"}


def test_codex_logs_in() -> None:
    asked = form(grant_type="authorization_code", code="c", client_id=CODEX_ID, redirect_uri="http://localhost")
    found = read(CODEX, asked, {"access_token": CHATGPT, "id_token": CHATGPT, "refresh_token": "rt", "expires_in": 60})
    assert found is not None
    assert found.used is None
    assert found.credential.identity["account_id"] == "acct-1"
    assert found.credential.identity["email"] == "ann@example.com"
    assert found.credential.expires_at == 4102444800  # the token's own word goes before expires_in


@pytest.mark.parametrize(
    ("endpoint", "asked", "told"),
    [
        (CODEX, form(grant_type="refresh_token", refresh_token="r", client_id="app_other"), {"access_token": CHATGPT}),
        (GOOGLE, form(grant_type="refresh_token", refresh_token="r", client_id="gcloud"), {"access_token": "ya29.a"}),
        (
            CODEX,
            form(grant_type="urn:ietf:params:oauth:grant-type:token-exchange", client_id=CODEX_ID),
            {"access_token": "sk-an-api-key"},
        ),
        (ANTHROPIC, {"grant_type": "refresh_token"}, {"access_token": "a"}),
        (ANTHROPIC, {"grant_type": "refresh_token", "refresh_token": "r"}, {"error": "invalid_grant"}),
        (ANTHROPIC, {"grant_type": "refresh_token", "refresh_token": "r"}, {"access_token": {"odd": 1}}),
        (ANTHROPIC, {"grant_type": "refresh_token", "refresh_token": "r"}, b"<html>"),
        (ANTHROPIC, {"grant_type": "refresh_token", "refresh_token": "r"}, ["access_token"]),
        (ANTHROPIC, b"\xff\xfe", {"access_token": "a"}),
        (ANTHROPIC, b"", {"access_token": "a"}),
        (ANTHROPIC, {"grant_type": "authorization_code"}, {"access_token": "a", "refresh_token": "two\nlines"}),
    ],
    ids=str,
)
def test_what_is_no_pair_of_an_agent(endpoint: TokenEndpoint, asked: bytes | dict[str, Any], told: Any) -> None:
    assert read(endpoint, asked, told) is None


@pytest.mark.parametrize("life", [None, -1, 0, True, "60", 1e12])
def test_a_life_that_is_none(life: object) -> None:
    asked = {"grant_type": "refresh_token", "refresh_token": "r"}
    found = read(ANTHROPIC, asked, {"access_token": "a", "expires_in": life, "account": "odd", "organization": 7})
    assert found is not None
    assert (found.credential.expires_at, found.credential.identity) == (None, {})


def test_endpoints_by_host() -> None:
    assert [one.provider for one in endpoints_at("Platform.Claude.com.", 443)] == ["anthropic"]
    assert endpoints_at("platform.claude.com", 8443) == ()
    assert endpoints_at("github.com", 443) == ()
