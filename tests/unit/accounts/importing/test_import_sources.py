"""Each agent's files, as the real clients write them, become the credentials that they hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mitm_balancer.accounts.importing.model import Found, Harvest, Surroundings
from mitm_balancer.accounts.importing.sources import SOURCES, search, search_bytes, search_file
from unit.accounts.importing.clientfiles import (
    ACCESS,
    CHATGPT,
    CLAUDE,
    CLAUDE_SETTINGS,
    CODEX,
    COPILOT_CLI,
    OPENCODE,
    REFRESH,
    around,
    put,
)  # fmt: skip


def one(found: list[Found]) -> Found:
    assert len(found) == 1, found
    return found[0]


def of(surroundings: Surroundings, name: str) -> Harvest:
    return search(surroundings, [name])[0]


def told(harvest: Harvest) -> str:
    return "\n".join(map(str, harvest.problems))


def test_nothing_is_found_and_nothing_told_in_an_empty_home(tmp_path: Path) -> None:
    for harvest in search(around(tmp_path)):
        assert (harvest.agent, harvest.found, harvest.problems) == (harvest.agent, [], [])


def test_claude_code(tmp_path: Path) -> None:
    put(tmp_path / ".claude/.credentials.json", CLAUDE)
    put(tmp_path / ".claude.json", CLAUDE_SETTINGS)
    found = one(of(around(tmp_path), "claude").found)
    credential = found.credential
    assert (found.provider, credential.kind, found.rotates) == ("anthropic", "oauth", True)
    assert credential.secret.reveal() == ACCESS
    assert credential.refresh is not None
    assert credential.refresh.reveal() == REFRESH
    assert credential.expires_at == pytest.approx(1795357710.176)
    assert credential.identity["email"] == "ann@example.com"
    assert credential.identity["account_uuid"] == "acc-uuid-1"
    assert credential.identity["org"] == "org-1"
    assert credential.identity["plan"] == "max"
    assert credential.extra["scope"] == "user:profile user:inference"
    assert found.place == "~/.claude/.credentials.json"


def test_claude_code_moved_by_its_own_variable(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere/.credentials.json", CLAUDE)
    put(tmp_path / "elsewhere/.claude.json", CLAUDE_SETTINGS)
    put(tmp_path / ".claude/.credentials.json", "not this one")
    found = one(of(around(tmp_path, CLAUDE_CONFIG_DIR=str(tmp_path / "elsewhere")), "claude").found)
    assert found.credential.identity["email"] == "ann@example.com"


def test_claude_code_between_two_steps_of_a_login_says_so(tmp_path: Path) -> None:
    put(tmp_path / ".claude/.credentials.json", {"claudeAiOauth": {"accessToken": "", "refreshToken": ""}})
    harvest = of(around(tmp_path), "claude")
    assert not harvest.found
    assert "under way" in told(harvest)


def test_the_keychain_is_told_how_to_hand_over(tmp_path: Path) -> None:
    surroundings = around(tmp_path)
    mac = Surroundings({}, tmp_path, tmp_path, "darwin", surroundings.providers)
    assert "security find-generic-password" in told(of(mac, "claude"))
    put(tmp_path / ".claude.json", CLAUDE_SETTINGS)
    handed = one(search_bytes(mac, "claude", json.dumps(CLAUDE).encode()).found)
    assert (handed.login, handed.credential.identity["email"]) == (None, "ann@example.com")


def test_codex_with_a_login(tmp_path: Path) -> None:
    put(tmp_path / ".codex/auth.json", CODEX)
    found = one(of(around(tmp_path), "codex").found)
    assert (found.provider, found.credential.kind, found.rotates) == ("codex", "oauth", True)
    assert found.credential.identity == {
        "email": "ann@example.com", "plan": "plus", "user_id": "user-1", "account_id": "acct-1",
    }  # fmt: skip
    assert found.credential.expires_at == 4102444800
    assert found.credential.extra == {"client_id": "app_EMoamEEZ73f0CkXaXp7hrann"}


def test_codex_with_a_key_and_a_login(tmp_path: Path) -> None:
    put(tmp_path / "c/auth.json", CODEX | {"OPENAI_API_KEY": "sk-proj-CANARY"})
    harvest = of(around(tmp_path, CODEX_HOME=str(tmp_path / "c")), "codex")
    assert [(found.provider, found.credential.kind) for found in harvest.found] == [
        ("openai", "api"),
        ("codex", "oauth"),
    ]


def test_a_bad_login_does_not_hide_the_key_beside_it(tmp_path: Path) -> None:
    put(tmp_path / ".codex/auth.json", {"OPENAI_API_KEY": "sk-proj-CANARY", "tokens": {"access_token": 7}})
    harvest = of(around(tmp_path), "codex")
    assert one(harvest.found).provider == "openai"
    assert "tokens.access_token is not a text" in told(harvest)


def test_opencode(tmp_path: Path) -> None:
    put(tmp_path / "data/opencode/auth.json", OPENCODE)
    harvest = of(around(tmp_path, XDG_DATA_HOME=str(tmp_path / "data")), "opencode")
    assert not harvest.problems
    kinds = {found.provider: (found.credential.kind, found.rotates) for found in harvest.found}
    assert kinds == {"anthropic": ("api", False), "codex": ("oauth", True), "copilot": ("oauth", False)}
    codex = next(found for found in harvest.found if found.provider == "codex")
    assert codex.credential.identity["account_id"] == "acct-1"
    copilot = next(found for found in harvest.found if found.provider == "copilot")
    assert copilot.credential.expires_at is None  # its 0 means never


def test_one_bad_entry_of_opencode_hides_no_other(tmp_path: Path) -> None:
    bad = OPENCODE | {
        "xai": {"type": "api"},
        "groq": "sk-CANARY-in-a-wrong-place",
        "unheard-of": {"type": "api", "key": "sk-CANARY"},
        "https://corp.example": {"type": "wellknown", "key": "CORP_TOKEN", "token": "CANARY"},
        "azure": {"type": "api", "key": "CANARY"},
        "google": {"type": "oauth", "refresh": "CANARY|p", "access": "ya29.CANARY", "expires": 1},
        "mistral": {"type": "api", "key": "two\nlines-CANARY"},
    }
    put(tmp_path / ".local/share/opencode/auth.json", bad)
    harvest = of(around(tmp_path), "opencode")
    assert len(harvest.found) == 3
    assert len(harvest.problems) == 7
    for text in ("xai: key is missing", "groq", "declare it under `providers`", "base_url", "login codeassist"):
        assert text in told(harvest)
    assert "CANARY" not in told(harvest)
    assert "CANARY" not in repr(harvest)


def test_the_variable_stands_instead_of_opencodes_file(tmp_path: Path) -> None:
    put(tmp_path / ".local/share/opencode/auth.json", OPENCODE)
    content = json.dumps({"groq": {"type": "api", "key": "gsk_CANARY"}})
    surroundings = around(tmp_path, OPENCODE_AUTH_CONTENT=content)
    found = one(of(surroundings, "opencode").found)
    assert (found.provider, found.place, found.login) == ("groq", "$OPENCODE_AUTH_CONTENT", None)
    assert "CANARY" not in repr(surroundings)


def test_gemini_cli(tmp_path: Path) -> None:
    login = {"access_token": "ya29.CANARY", "refresh_token": "1//CANARY", "expiry_date": 1795357710176, "scope": "a b"}
    put(tmp_path / ".gemini/oauth_creds.json", login)
    put(tmp_path / ".gemini/google_accounts.json", {"active": "ann@example.com", "old": []})
    put(tmp_path / ".gemini/.env", "GEMINI_API_KEY=AIzaCANARY\n")
    harvest = of(around(tmp_path, GOOGLE_CLOUD_PROJECT="proj-1"), "gemini")
    login_found, key = harvest.found
    assert (login_found.provider, login_found.rotates) == ("codeassist", False)
    assert login_found.credential.identity == {"email": "ann@example.com", "project": "proj-1"}
    assert (key.provider, key.credential.kind) == ("gemini", "api")


def test_what_gemini_cli_sealed_is_told(tmp_path: Path) -> None:
    put(tmp_path / ".gemini/gemini-credentials.json", "sealed")
    assert "accounts login codeassist" in told(of(around(tmp_path), "gemini"))


def test_copilot_cli_and_editors(tmp_path: Path) -> None:
    put(tmp_path / ".copilot/config.json", COPILOT_CLI)
    apps = {"github.com:Iv1.b507a08c87ecfe98": {"user": "bob", "oauth_token": "ghu_CANARY", "githubAppId": "Iv1"}}
    put(tmp_path / ".config/github-copilot/apps.json", apps)
    put(tmp_path / ".config/github-copilot/hosts.json", {"corp.ghe.com": {"user": "eve", "oauth_token": "gho_CANARY4"}})
    found = of(around(tmp_path), "copilot").found
    assert [(one.alias, one.credential.extra.get("enterprise_url")) for one in found] == [
        ("octocat", None), ("bob", None), ("eve", "https://corp.ghe.com"),
    ]  # fmt: skip
    assert not any(one.rotates for one in found)
    assert all(one.credential.refresh == one.credential.secret for one in found)


def test_a_copilot_cli_that_was_only_started_is_not_told(tmp_path: Path) -> None:
    put(tmp_path / ".copilot/config.json", {"firstLaunchAt": "2026-11-22T05:28:25.613Z"})
    assert not of(around(tmp_path), "copilot").problems
    keyring = around(tmp_path, DBUS_SESSION_BUS_ADDRESS="unix:path=/nowhere")
    assert "keyring" in told(of(keyring, "copilot"))


def test_kimi(tmp_path: Path) -> None:
    login = {"access_token": "CANARY-a", "refresh_token": "CANARY-r", "expires_at": 1795357710.5, "scope": "s"}
    put(tmp_path / ".kimi/credentials/kimi-code.json", login)
    found = one(of(around(tmp_path), "kimi").found)
    assert (found.provider, found.rotates, found.credential.expires_at) == ("kimi", True, 1795357710.5)


def test_aider(tmp_path: Path) -> None:
    repository = tmp_path / "work"
    put(repository / ".git/HEAD", "ref")
    put(
        repository / ".env",
        "export OPENAI_API_KEY='sk-CANARY1'  # mine\n# GROQ_API_KEY=no\nbroken line\nXAI_API_KEY=\n",
    )
    put(tmp_path / ".aider.conf.yml", "anthropic-api-key: sk-ant-CANARY2\napi-key:\n  - deepseek=sk-CANARY3\n  - x=y\n")
    put(tmp_path / ".aider/oauth-keys.env", 'OPENROUTER_API_KEY="sk-or-CANARY4"\n')
    below = Surroundings({}, tmp_path, repository / "src", "linux", around(tmp_path).providers)
    found = of(below, "aider").found
    assert {one.provider: one.credential.secret.reveal() for one in found} == {
        "openai": "sk-CANARY1", "anthropic": "sk-ant-CANARY2", "deepseek": "sk-CANARY3", "openrouter": "sk-or-CANARY4",
    }  # fmt: skip


def test_the_environment(tmp_path: Path) -> None:
    surroundings = around(
        tmp_path, ANTHROPIC_API_KEY="sk-ant-api03-CANARY", CLAUDE_CODE_OAUTH_TOKEN=ACCESS, GROQ_API_KEY="gsk_CANARY",
        COPILOT_GITHUB_TOKEN="gho_CANARY", GITHUB_TOKEN="ghs_CANARY", EMPTY_API_KEY="",
    )  # fmt: skip
    found = of(surroundings, "env").found
    assert [(one.variable, one.provider, one.credential.kind) for one in found] == [
        ("ANTHROPIC_API_KEY", "anthropic", "api"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "anthropic", "oauth"),
        ("COPILOT_GITHUB_TOKEN", "copilot", "oauth"),
        ("GROQ_API_KEY", "groq", "api"),
    ]


def test_a_key_for_another_address_never_goes_to_the_provider(tmp_path: Path) -> None:
    surroundings = around(tmp_path, OPENAI_API_KEY="sk-CANARY", OPENAI_BASE_URL="https://gateway.example/v1")
    harvest = of(surroundings, "env")
    assert not harvest.found
    assert "$OPENAI_BASE_URL" in told(harvest)


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "opencode-balancer"])
@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"[]", b"{}", b"null", b'{"a": ' * 5000, b"1" * 5000])
def test_no_parser_falls_over_what_is_not_its_own(tmp_path: Path, name: str, data: bytes) -> None:
    assert search_bytes(around(tmp_path), name, data).found == []


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / ".codex/auth.json").mkdir(parents=True)
    put(tmp_path / ".claude/.credentials.json", '{"claudeAiOauth": {"accessToken": "CANARY')
    harvests = {harvest.agent: told(harvest) for harvest in search(around(tmp_path))}
    assert harvests["codex"] == "~/.codex/auth.json: is not a regular file"
    assert harvests["claude"] == "~/.claude/.credentials.json: is not JSON (line 1, column 35)"


def test_a_file_that_somebody_names(tmp_path: Path) -> None:
    path = put(tmp_path / "backup.json", CLAUDE)
    put(tmp_path / ".claude.json", CLAUDE_SETTINGS)
    found = one(search_file(around(tmp_path), "claude", path).found)
    assert found.login is not None
    assert found.login.path == path
    assert "email" not in found.credential.identity  # this user's settings say nothing about another file
    assert "does not exist" in told(search_file(around(tmp_path), "codex", tmp_path / "gone"))


def test_a_chatgpt_token_without_claims_is_still_one(tmp_path: Path) -> None:
    tokens = {"access_token": "opaque-CANARY", "refresh_token": "rt", "account_id": "acct-9", "id_token": CHATGPT}
    put(tmp_path / ".codex/auth.json", {"tokens": tokens})
    credential = one(of(around(tmp_path), "codex").found).credential
    assert (credential.identity["account_id"], credential.expires_at) == ("acct-9", None)
