"""A real opencode-balancer database, built to its spec (behaviour spec 1.2), and the JSON store before it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from mitm_balancer.accounts.importing.model import Harvest
from mitm_balancer.accounts.importing.sources import search, search_file
from unit.accounts.importing.clientfiles import CHATGPT, around, put

SCHEMA = """
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL);
CREATE TABLE accounts (provider_id TEXT NOT NULL, alias TEXT NOT NULL, auth_json TEXT NOT NULL, auth_type TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, last_used_at INTEGER, rate_limited_until INTEGER,
  failures INTEGER NOT NULL DEFAULT 0, disabled INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (provider_id, alias));
CREATE TABLE provider_state (provider_id TEXT PRIMARY KEY, active_alias TEXT, updated_at INTEGER NOT NULL,
  metadata_json TEXT NOT NULL DEFAULT '{}');
CREATE TABLE pending_connections (id TEXT PRIMARY KEY, provider_id TEXT NOT NULL, auth_json TEXT NOT NULL,
  auth_type TEXT NOT NULL, source TEXT NOT NULL, captured_at INTEGER NOT NULL, prompt_status TEXT NOT NULL);
CREATE TABLE usage_snapshots (provider_id TEXT NOT NULL, alias TEXT NOT NULL, fetched_at INTEGER NOT NULL,
  confidence TEXT NOT NULL, normalized_json TEXT NOT NULL, raw_redacted_json TEXT, error TEXT,
  PRIMARY KEY (provider_id, alias));
CREATE TABLE events (id TEXT PRIMARY KEY, type TEXT NOT NULL, provider_id TEXT, alias TEXT, message TEXT NOT NULL,
  created_at INTEGER NOT NULL, metadata_json TEXT NOT NULL DEFAULT '{}');
CREATE TABLE provider_priority (provider_id TEXT PRIMARY KEY, position INTEGER NOT NULL, model_id TEXT,
  enabled INTEGER NOT NULL DEFAULT 1, updated_at INTEGER NOT NULL);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO schema_migrations VALUES (1, 1790000000000);
"""
OAUTH = {"type": "oauth", "refresh": "rt_CANARY", "access": CHATGPT, "expires": 4102444800000, "accountId": "acct-1"}
GITHUB = {"type": "oauth", "refresh": "gho_C", "access": "gho_C", "expires": 0}
ROWS = (
    ("openai", "work", json.dumps(OAUTH), "oauth", 0),
    ("openai", "key", json.dumps({"type": "api", "key": "sk-CANARY"}), "api", 1),
    ("github-copilot", "home", json.dumps(GITHUB), "oauth", 0),
    ("groq", "bad", "{not json CANARY", "api", 0),
    ("opencode-go", "zen", json.dumps({"type": "api", "key": "sk-zen", "metadata": {"a": "b"}}), "api", 0),
)  # fmt: skip


def database(path: Path) -> sqlite3.Connection:
    """As the plugin makes it: WAL, 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(SCHEMA)
    for provider, alias, auth, kind, disabled in ROWS:
        row = (provider, alias, auth, kind, 1790000000000, 1790000000000, disabled)
        connection.execute(
            "INSERT INTO accounts (provider_id, alias, auth_json, auth_type, created_at, updated_at, disabled)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
    return connection


def check(harvest: Harvest) -> None:
    assert [(one.provider, one.alias, one.disabled) for one in harvest.found] == [
        ("copilot", "home", False), ("openai", "key", True), ("codex", "work", False), ("opencode", "zen", False),
    ]  # fmt: skip
    assert [problem.place.rpartition(", ")[2] for problem in harvest.problems] == ["groq/bad"]
    assert "CANARY" not in str(harvest.problems)
    assert not any(one.login for one in harvest.found)  # a plugin's database is not written


def test_its_database_while_it_is_open(tmp_path: Path) -> None:
    """What was written last is still in its journal then."""
    connection = database(tmp_path / ".config/opencode/balancer.sqlite")
    check(search(around(tmp_path), ["opencode-balancer"])[0])
    connection.close()


def test_its_database_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "oc/balancer.sqlite"
    database(path).close()
    path.parent.chmod(0o500)
    try:
        check(search(around(tmp_path, OPENCODE_CONFIG_DIR=str(path.parent)), ["opencode-balancer"])[0])
    finally:
        path.parent.chmod(0o700)


def test_the_database_goes_before_the_old_store(tmp_path: Path) -> None:
    put(tmp_path / ".config/opencode/balancer-accounts.json", "broken")
    database(tmp_path / ".config/opencode/balancer.sqlite").close()
    check(search(around(tmp_path), ["opencode-balancer"])[0])


def test_windows_own_place_is_searched_too(tmp_path: Path) -> None:
    database(tmp_path / "Local/opencode/balancer.sqlite").close()
    check(search(around(tmp_path, LOCALAPPDATA=str(tmp_path / "Local")), ["opencode-balancer"])[0])


def test_the_json_store_of_0_1(tmp_path: Path) -> None:
    accounts = {
        "work": {"alias": "work", "providerID": "openai", "auth": OAUTH, "createdAt": 1, "updatedAt": 1},
        "bad": {"alias": "bad", "providerID": "openai", "auth": None},
    }
    put(
        tmp_path / ".config/opencode/balancer-accounts.json",
        {"version": 1, "providers": {"openai": {"accounts": accounts}}},
    )
    harvest = search(around(tmp_path), ["opencode-balancer"])[0]
    assert [(one.provider, one.alias, one.rotates) for one in harvest.found] == [("codex", "work", True)]
    assert len(harvest.problems) == 1


@pytest.mark.parametrize("content", ["", "{}", '{"version": 2, "providers": {}}', "SQLite format 3\0" + "x" * 200])
def test_what_is_neither_is_told(tmp_path: Path, content: str) -> None:
    harvest = search_file(around(tmp_path), "opencode-balancer", put(tmp_path / "some.file", content))
    assert (len(harvest.found), len(harvest.problems)) == (0, 1)


def test_another_programs_database_is_told(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "other.sqlite")
    connection.execute("CREATE TABLE accounts (name TEXT)")
    connection.commit()
    connection.close()
    harvest = search_file(around(tmp_path), "opencode-balancer", tmp_path / "other.sqlite")
    assert "is not a database of opencode-balancer" in str(harvest.problems[0])
    assert [file.name for file in tmp_path.iterdir()] == ["other.sqlite"]  # nothing was left beside it
