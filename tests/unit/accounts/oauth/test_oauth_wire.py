"""What is asked of each token endpoint, and what each of its answers means."""

from __future__ import annotations

import base64
import dataclasses
import json
import stat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.oauth import installed
from mitm_balancer.accounts.oauth.answer import Answer, Dead, Later, Renewed, Unclear, read
from mitm_balancer.accounts.oauth.request import endpoint, line, question, renewable
from mitm_balancer.accounts.oauth.services import SERVICES
from mitm_balancer.secrets import Secret

NOW = 1_800_000_000.0


def login(**fields: Any) -> Credential:
    return Credential("oauth", Secret("old-access-token"), Secret("old-refresh-token"), NOW, **fields)


def told(provider: str, status: int, body: Any, *, old: Credential | None = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read(SERVICES[provider], old or login(), status, named, body, now=NOW)


def renewed(provider: str, body: Any, *, old: Credential | None = None, **headers: str) -> Credential:
    answer = told(provider, 200, body, old=old, **headers)
    assert isinstance(answer, Renewed), answer
    return answer.credential


def jwt(claims: dict[str, Any]) -> str:
    return f"head.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.signature"


# -- questions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["anthropic", "codex"])
def test_json_with_the_public_client_id(provider: str) -> None:
    asked = question(SERVICES[provider], login())
    assert (asked.method, asked.url) == ("POST", SERVICES[provider].url)
    assert dict(asked.headers)["content-type"] == "application/json"
    assert json.loads(asked.body) == {
        "grant_type": "refresh_token",
        "refresh_token": "old-refresh-token",
        "client_id": SERVICES[provider].client_id,
    }


def test_a_form_with_what_google_calls_a_secret() -> None:
    asked = question(SERVICES["codeassist"], login(), "public")
    assert dict(asked.headers)["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body.decode())["client_secret"] == ["public"]
    assert parse_qs(asked.body.decode())["refresh_token"] == ["old-refresh-token"]


def test_copilot_exchanges_its_github_token() -> None:
    asked = question(SERVICES["copilot"], login())
    assert (asked.method, asked.url, asked.body) == ("GET", "https://api.github.com/copilot_internal/v2/token", b"")
    assert dict(asked.headers)["authorization"] == "token old-refresh-token"


def test_the_connection_ends_with_the_refresh() -> None:
    for service in SERVICES.values():
        assert dict(question(service, login(extra={"client_id": "x"})).headers)["connection"] == "close"


def test_a_question_shows_nothing_of_the_token() -> None:
    assert "old-refresh" not in repr(question(SERVICES["anthropic"], login()))


@pytest.mark.parametrize(
    ("provider", "extra", "url"),
    [
        ("anthropic", {"token_url": "https://gateway.example/token"}, "https://gateway.example/token"),
        ("copilot", {"enterprise_url": "ghe.example"}, "https://api.ghe.example/copilot_internal/v2/token"),
        ("copilot", {"enterprise_url": "https://ghe.example/"}, "https://api.ghe.example/copilot_internal/v2/token"),
    ],
)
def test_an_account_may_have_an_endpoint_of_its_own(provider: str, extra: dict[str, str], url: str) -> None:
    assert endpoint(SERVICES[provider], login(extra=extra)) == url


def test_one_line_per_client_id() -> None:
    service = SERVICES["vertex"]
    one, two = login(extra={"client_id": "one"}), login(extra={"client_id": "two"})
    assert line(service, one) != line(service, two)
    assert line(service, one) == line(service, dataclasses.replace(two, extra=one.extra))


@pytest.mark.parametrize(
    ("provider", "credential", "yes"),
    [
        ("anthropic", login(), True),
        ("anthropic", dataclasses.replace(login(), refresh=None), False),  # `claude setup-token`
        ("anthropic", Credential("api", Secret("sk-ant-api03"), Secret("x")), False),
        ("openrouter", login(), False),
        ("copilot", dataclasses.replace(login(), expires_at=None), True),
        ("vertex", login(), False),
        ("vertex", login(extra={"client_id": "gcloud"}), True),
        ("anthropic", None, False),
    ],
)
def test_what_can_be_renewed(provider: str, credential: Credential | None, yes: bool) -> None:
    assert renewable(SERVICES.get(provider), credential) is yes


# -- answers ----------------------------------------------------------------------------------------------------


def test_a_new_pair_with_its_life_and_its_owner() -> None:
    body = {
        "access_token": "new-access-token", "refresh_token": "new-refresh-token", "expires_in": 28800,
        "account": {"uuid": "u-1", "email_address": "a@b.example"}, "organization": {"uuid": "o-1", "name": "Org"},
    }  # fmt: skip
    new = renewed("anthropic", body, old=login(identity={"plan": "max"}, extra={"scope": "x"}))
    assert (new.secret, new.refresh) == (Secret("new-access-token"), Secret("new-refresh-token"))
    assert new.expires_at == NOW + 28800
    assert new.identity == {
        "plan": "max",
        "account_uuid": "u-1",
        "email": "a@b.example",
        "org": "o-1",
        "org_name": "Org",
    }
    assert new.extra == {"scope": "x", "life": "28800"}


def test_a_refresh_token_that_is_not_replaced_stays() -> None:
    assert renewed("codeassist", {"access_token": "new-access-token", "expires_in": 3599}).refresh == login().refresh


def test_codex_says_no_life_but_its_token_does() -> None:
    auth = {"https://api.openai.com/auth": {"chatgpt_account_id": "acc-1"}}
    new = renewed("codex", {"access_token": jwt({"exp": NOW + 864000, **auth})})
    assert new.expires_at == NOW + 864000
    assert new.identity == {"account_id": "acc-1"}


def test_an_absolute_end_is_read_by_the_clock_of_who_said_it() -> None:
    """Ours is an hour slow."""
    body = {"token": "tid=1;exp=2;x", "expires_at": int(NOW + 3600 + 1500)}
    assert renewed("copilot", body, date="Fri, 15 Jan 2027 09:00:00 GMT").expires_at == NOW + 1500


def test_an_exchange_keeps_the_github_token_and_finds_the_accounts_host() -> None:
    body = {"token": "tid=1;exp=2;proxy-ep=proxy.individual.githubcopilot.com;x", "expires_at": NOW + 1500}
    new = renewed("copilot", body)
    assert new.refresh == login().refresh
    assert new.extra["base_url"] == "https://api.individual.githubcopilot.com"
    stated = renewed("copilot", body | {"endpoints": {"api": "https://api.business.githubcopilot.com"}})
    assert stated.extra["base_url"] == "https://api.business.githubcopilot.com"


@pytest.mark.parametrize(
    ("url", "extra", "taken"),
    [
        ("https://evil.example", {}, False),
        ("https://githubcopilot.com.evil.example", {}, False),
        ("http://api.githubcopilot.com", {}, False),
        ("https://copilot-api.ghe.example", {}, False),
        ("https://copilot-api.ghe.example", {"enterprise_url": "https://ghe.example"}, True),
    ],
)
def test_no_answer_leads_a_credential_to_others(url: str, extra: dict[str, str], taken: bool) -> None:
    body = {"token": "tid=1;exp=2;xyz", "expires_at": NOW + 1500, "endpoints": {"api": url}}
    assert ("base_url" in renewed("copilot", body, old=login(extra=extra)).extra) is taken


def test_an_exchange_without_an_end_is_taken_to_be_short() -> None:
    assert renewed("copilot", {"token": "tid=1;exp=2;xyz"}).expires_at == NOW + 1500


@pytest.mark.parametrize("life", [0, -5, "soon", True, 1e12, None])
def test_a_life_that_makes_no_sense_is_none(life: object) -> None:
    assert renewed("anthropic", {"access_token": "new-access-token", "expires_in": life}).expires_at is None


@pytest.mark.parametrize(
    ("provider", "status", "body", "reason"),
    [
        ("anthropic", 400, {"error": "invalid_grant", "error_description": "not found"}, "invalid_grant"),
        ("anthropic", 401, {"error": "invalid_grant"}, "invalid_grant"),
        ("codex", 401, {"error": {"code": "refresh_token_reused", "type": "x"}}, "refresh_token_reused"),
        ("codex", 400, {"error": {"code": "refresh_token_expired"}}, "refresh_token_expired"),
        ("codex", 400, {"error": {"code": "token_revoked"}}, "token_revoked"),
        ("codeassist", 400, {"error": "invalid_grant"}, "invalid_grant"),
        ("kimi", 403, None, "status 403"),
        ("copilot", 401, {"message": "Bad credentials"}, "status 401"),
    ],
)  # fmt: skip
def test_a_dead_login(provider: str, status: int, body: object, reason: str) -> None:
    assert told(provider, status, body) == Dead(reason)


@pytest.mark.parametrize(
    ("status", "body", "headers", "wait"),
    [
        (500, None, {}, None),
        (502, None, {}, None),
        (529, {"error": {"type": "overloaded_error"}}, {}, None),
        (429, {"error": "rate_limited"}, {"retry_after": "17"}, 17.0),
        (429, None, {"retry_after_ms": "1500"}, 1.5),
        (408, None, {}, None),
        (302, None, {}, None),
        (400, {"error": "invalid_client"}, {}, 3600.0),
        (404, None, {}, 3600.0),
        (403, None, {}, 3600.0),
    ],
)
def test_what_says_nothing_of_the_token_is_later(
    status: int, body: object, headers: dict[str, str], wait: float | None
) -> None:
    answer = told("anthropic", status, body, **headers)
    assert isinstance(answer, Later)
    assert answer.wait == wait


@pytest.mark.parametrize("token", [None, "", 7, "short", "a\nb" * 9])
def test_a_success_without_a_token_is_unclear(token: object) -> None:
    unclear = Unclear("an answer without a token")
    assert told("anthropic", 200, {"access_token": token, "refresh_token": "new-refresh-token"}) == unclear
    assert told("anthropic", 200, token) == unclear


def test_no_reason_quotes_a_token() -> None:
    answer = told("anthropic", 400, {"error": "old-refresh-token", "error_description": "old-refresh-token"})
    assert "old-refresh" not in str(answer)


# -- the installed client ---------------------------------------------------------------------------------------


def test_what_the_installed_program_says_to_google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib" / "cli"
    (package / "bundle").mkdir(parents=True)
    (package / "package.json").write_text("{}")
    value = "GOCSPX" + "-" + "a" * 28
    (package / "bundle" / "a.js").write_text("nothing here")
    (package / "bundle" / "b.js").write_text(f'var ID = "id.example";\nvar S = "{value}";')
    program = package / "bundle" / "gemini.js"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gemini").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    installed.client_secret.cache_clear()
    assert installed.client_secret("gemini", "id.example") == value
    assert installed.client_secret("gemini", "another.example") == ""
    assert installed.client_secret("missing", "id.example") == ""
    monkeypatch.setenv(installed.VARIABLE, " own ")
    assert installed.client_secret("other", "id.example") == "own"
    installed.client_secret.cache_clear()
