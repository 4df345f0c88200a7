"""`balancer accounts`: what its verbs do to the store, what they refuse, and that no key comes out again."""

import io
import json
import os
import pty
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from processes import environ

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import Credential, StoredAccount
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.main import main
from mitm_balancer.secrets import Secret
from mitm_balancer.store import CooldownRow, Store, database

KEY, OTHER = "sk-ant-api03-CANARY-FIRST-1111", "sk-ant-api03-CANARY-SECOND-2222"

CONFIG = """\
version: 1
accounts:
- {provider: anthropic, alias: declared, credential: {env: NOT_SET}, priority: 1}
- {provider: openai, alias: idle, credential: {env: NOT_SET}, enabled: false}
"""

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BALANCER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BALANCER_VAULT", "file")
    monkeypatch.delenv("BALANCER_CONFIG", raising=False)
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `balancer accounts ...` with this on stdin; the exit code, stdout and stderr."""

    def runner(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(["accounts", *words])
        said = capsys.readouterr()
        assert "CANARY" not in said.out + said.err or "export" in words
        return code, said.out, said.err

    return runner


@pytest.fixture
def configured(home: Path) -> Path:
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text(CONFIG)
    return home


def accounts(home: Path) -> dict[str, StoredAccount]:
    store = Store.open(home)
    found = AccountBook(store, Vault.open(home)).all()
    store.close()
    return {account.name: account for account in found}


def chosen(home: Path) -> dict[str, str]:
    """Provider -> the account that new sessions go to."""
    store = Store.open(home)
    found: dict[str, str] = store.settings()["active"]
    store.close()
    return found


def listed(run: Run) -> dict[str, dict[str, object]]:
    code, out, _ = run("list", "--json")
    assert code == 0
    return {row["name"]: row for row in json.loads(out)["accounts"]}


def test_a_key_from_stdin_is_stored_and_used(run: Run, home: Path) -> None:
    assert run("add", "anthropic", "--alias", " Work Account!! ", stdin=f"{KEY}\n")[0] == 0

    (account,) = accounts(home).values()
    assert account.name == "anthropic/work-account"
    assert account.credential is not None
    assert account.credential.secret.reveal() == KEY
    assert (account.kind, account.source) == ("api", "add")
    assert chosen(home) == {"anthropic": "anthropic/work-account"}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in home.iterdir())


def test_the_same_key_again_is_no_second_account(run: Run, home: Path) -> None:
    run("add", "anthropic", "--alias", "work", "--priority", "4", stdin=KEY)
    code, out, _ = run("add", "anthropic", "--alias", "again", stdin=KEY)

    assert code == 0
    assert "accounts rename anthropic/work again" in out
    assert [(a.name, a.generation, a.settings.priority) for a in accounts(home).values()] == [("anthropic/work", 2, 4)]


def test_another_key_under_an_alias_in_use_is_asked_about(run: Run, home: Path) -> None:
    run("add", "anthropic", "--alias", "work", stdin=KEY)
    code, _, err = run("add", "anthropic", "--alias", "work", stdin=OTHER)
    assert (code, "holds another credential" in err) == (1, True)
    assert run("add", "anthropic", "--alias", "work", "--yes", stdin=OTHER)[0] == 0
    credential = accounts(home)["anthropic/work"].credential
    assert credential is not None
    assert credential.secret.reveal() == OTHER


def test_a_reserve_is_stored_and_not_switched_to(run: Run, home: Path) -> None:
    run("add", "anthropic", "--alias", "first", stdin=KEY)
    run("add", "anthropic", "--alias", "reserve", "--priority", "1", stdin=OTHER)
    run("add", "anthropic", "--alias", "kept", "--keep", stdin=f"{OTHER}3")
    assert chosen(home) == {"anthropic": "anthropic/first"}
    run("add", "anthropic", "--alias", "newest", stdin=f"{OTHER}4")
    assert chosen(home) == {"anthropic": "anthropic/newest"}


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (("anthropic",), "gsk_1234567890", 1, "looks like a credential of groq"),
        (("anthropic",), "nonsense", 1, "redentials of anthropic begin with sk-ant-"),
        (("anthropic",), "sk-ant-admin01-CANARY", 1, "an admin key"),
        (("openai",), "export OPENAI_API_KEY=CANARY", 1, "holds a space"),
        (("openai",), "", 1, "the key is empty"),
        (("openai",), "two\nlines", 1, "line break"),
        (("azure",), "k", 2, "--base-url"),
        (("azure", "--base-url", "http://far.example"), "k", 2, "expected https://"),
        (("nobody",), "k", 2, "no provider is named nobody"),
        (("openai", "--alias", "!!!"), "k", 1, "Invalid alias"),
        (("openai", "--identity", "project=a b"), "k", 2, "--identity project"),
        (("openai", "sk-CANARY-in-argv"), "", 2, "never an argument"),
    ],
)
def test_what_is_refused(run: Run, home: Path, words: tuple[str, ...], stdin: str, code: int, said: str) -> None:
    got, _, err = run("add", *words, stdin=stdin)
    assert (got, said in err) == (code, True), err
    assert not (home / "balancer.sqlite").exists() or accounts(home) == {}


@pytest.mark.usefixtures("configured")
def test_a_declared_account_is_changed_in_its_file(run: Run, home: Path) -> None:
    place = f"{home}/config.yaml, line 3"
    for words in (("rename", "declared", "other"), ("remove", "declared", "--yes"), ("export", "declared", "--yes")):
        store = Store.open(home)
        store.close()
        code, _, err = run(*words)
        assert (code, place in err) == (1, True), err
    code, _, err = run("add", "anthropic", "--alias", "declared", stdin=KEY)
    assert (code, place in err) == (1, True)
    code, _, err = run("enable", "openai/idle")
    assert (code, "enabled: false in" in err, "line 4" in err) == (1, True, True)


@pytest.mark.usefixtures("configured")
def test_declared_and_stored_accounts_are_one_list(run: Run) -> None:
    run("add", "anthropic", "--alias", "mine", stdin=KEY)
    rows = listed(run)

    assert {name: (row["source"], row["kind"], row["state"], row["tail"]) for name, row in rows.items()} == {
        "anthropic/declared": ("config", "env", "ready", ""),
        "openai/idle": ("config", "env", "disabled", ""),
        "anthropic/mine": ("add", "api", "ready", "1111"),
    }
    text = run("list")[1]
    assert "config.yaml:3" in text
    assert "ends in 1111" in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.usefixtures("configured")
def test_the_last_use_is_told_once(run: Run, home: Path) -> None:
    run("add", "anthropic", "--alias", "mine", stdin=KEY)
    with closing(Store.open(home)) as store:
        book = AccountBook(store, Vault.open(home))
        book.used({book.all()[0].id: time.time() - 3600})

    assert run("list")[1].count("used ") == 1
    assert listed(run)["anthropic/mine"]["last_used_at"] == pytest.approx(time.time() - 3600, abs=60)


@pytest.mark.usefixtures("configured")
def test_the_list_of_a_database_that_cannot_be_read(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the configuration declares is still told, and what is wrong."""
    run("add", "anthropic", "--alias", "mine", stdin=KEY)
    monkeypatch.setattr(database, "BUSY", 0.02)
    with closing(sqlite3.connect(home / "balancer.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        code, out, _ = run("list")
    assert code == 0
    assert "anthropic/declared" in out
    assert "problem   balancer.sqlite: database is locked" in out


@pytest.mark.usefixtures("configured")
def test_a_clash_of_names_is_told_and_the_file_counts(run: Run, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(home)
    AccountBook(store, Vault.open(home)).save("anthropic", "declared", Credential("api", Secret(KEY)), "add")
    store.close()

    assert listed(run)["anthropic/declared"]["source"] == "config"
    assert main(["status", "--json"]) == 0
    picture = json.loads(capsys.readouterr().out)
    (problem,) = picture["problems"]
    assert "line 3 and stored as well: the declared one counts" in problem
    assert [account["name"] for account in picture["accounts"]] == ["anthropic/declared", "openai/idle"]
    assert run("rename", "anthropic/declared", "stored")[0] == 0
    assert listed(run)["anthropic/stored"]["source"] == "add"


@pytest.mark.usefixtures("configured")
def test_use_disable_and_enable_work_for_both(run: Run, home: Path) -> None:
    run("add", "anthropic", "--alias", "mine", stdin=KEY)
    assert run("use", "declared")[0] == 0
    assert chosen(home) == {"anthropic": "anthropic/declared"}
    for name in ("declared", "mine"):
        assert run("disable", name)[0] == 0
    assert {row["state"] for name, row in listed(run).items() if "anthropic" in name} == {"disabled"}
    assert "but it is disabled" in run("use", "mine")[1]
    assert run("enable", "mine")[0] == 0
    assert listed(run)["anthropic/mine"]["state"] == "ready"
    assert run("use", "nobody")[0] == 1


def test_set_changes_what_is_said_and_nothing_else(run: Run, home: Path) -> None:
    run("add", "anthropic", "--alias", "work", "--priority", "-2", "--weight", "3", stdin=KEY)
    before = accounts(home)["anthropic/work"]
    assert run("set", "work", "--models", "claude-*, fable-*", "--base-url", "https://gate.example/x")[0] == 0
    after = accounts(home)["anthropic/work"]
    assert (after.settings.models, after.settings.base_url) == (("claude-*", "fable-*"), "https://gate.example/x")
    assert (after.settings.priority, after.settings.weight, after.generation) == (-2, 3.0, before.generation)
    assert after.credential == before.credential
    assert run("set", "work", "--base-url", "none")[0] == 0
    assert accounts(home)["anthropic/work"].settings.base_url is None
    assert run("set", "work")[0] == 2
    assert run("set", "work", "--base-url", "http://far.example")[0] == 2
    # The same key again keeps what was set.
    run("add", "anthropic", "--concurrency-limit", "2", stdin=KEY)
    settings = accounts(home)["anthropic/work"].settings
    assert (settings.priority, settings.models, settings.concurrency_limit) == (-2, ("claude-*", "fable-*"), 2)


def test_an_account_without_an_address_keeps_its_own(run: Run, home: Path) -> None:
    run("add", "azure", "--alias", "eu", "--base-url", "https://eu.example", stdin="azure-key-1")
    assert run("add", "azure", "--alias", "eu", "--yes", stdin="azure-key-2")[0] == 0
    assert accounts(home)["azure/eu"].settings.base_url == "https://eu.example"
    assert run("set", "eu", "--base-url", "none")[0] == 2


def test_the_list_needs_no_word(run: Run) -> None:
    run("add", "anthropic", "--alias", "work", stdin=KEY)
    assert json.loads(run("--json")[1])["accounts"][0]["name"] == "anthropic/work"
    assert "anthropic/work" in run()[1]


def test_remove_asks_and_the_next_in_order_takes_over(run: Run, home: Path) -> None:
    for alias, priority in (("gone", "0"), ("later", "2"), ("sooner", "1")):
        run("add", "openai", "--alias", alias, "--priority", priority, stdin=f"sk-CANARY-{alias}")
    store = Store.open(home)
    store.save_cooldown(CooldownRow("openai/gone", "", time.time() + 99, time.time(), 99, "RateLimited: x")).result(5)
    store.close()

    code, _, err = run("remove", "gone")
    assert (code, "--yes says yes" in err) == (1, True)
    assert "openai/gone" in accounts(home)
    code, out, _ = run("remove", "gone", "--yes")
    assert (code, "openai/sooner is used now" in out) == (0, True)
    assert set(accounts(home)) == {"openai/later", "openai/sooner"}
    assert chosen(home) == {"openai": "openai/sooner"}
    store = Store.open(home)
    assert store.cooldowns() == []
    store.close()


def test_export_asks_and_writes_a_private_new_file(run: Run, home: Path, tmp_path: Path) -> None:
    run("add", "anthropic", "--alias", "work", stdin=KEY)
    target = tmp_path / "out.json"
    assert run("export", "--output", str(target))[0] == 1
    assert not target.exists()
    assert run("export", "--output", str(target), "--yes")[0] == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    (account,) = json.loads(target.read_text())["accounts"]
    assert (account["alias"], account["secret"]) == ("work", KEY)
    assert run("export", "--output", str(target), "--yes")[0] == 1
    assert json.loads(run("export", "work", "--yes")[1])["accounts"] == [account]


def test_what_was_exported_is_restored_elsewhere(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("add", "anthropic", "--alias", "work", "--models", "a*,b*", "--weight", "2", stdin=KEY)
    store = Store.open(home)
    login = Credential("oauth", Secret("CANARY-a"), Secret("CANARY-r"), 2e9, {"email": "me@x"}, {"client_id": "c"})
    AccountBook(store, Vault.open(home)).save("codex", "me", login, "login")
    store.close()
    run("export", "--yes", "--output", str(tmp_path / "moved.json"))
    before = accounts(home)
    monkeypatch.setenv("BALANCER_HOME", str(tmp_path / "elsewhere"))

    assert run("restore", str(tmp_path / "moved.json"))[0] == 1
    assert run("restore", str(tmp_path / "moved.json"), "--yes")[0] == 0
    after = accounts(tmp_path / "elsewhere")
    told = [{name: (a.credential, a.settings, a.source) for name, a in found.items()} for found in (before, after)]
    assert told[0] == told[1]
    code, out, _ = run("restore", str(tmp_path / "moved.json"), "--yes")
    assert (code, out.count("stored anew")) == (0, 2)
    assert len(accounts(tmp_path / "elsewhere")) == 2


@pytest.mark.parametrize(
    "text",
    ["nonsense", "[]", '{"format": "other", "accounts": []}',
     '{"format": "mitm-balancer-accounts-1", "accounts": [{"provider": "openai", "secret": "CANARY"}]}',
     '{"format": "mitm-balancer-accounts-1", "accounts": [{"provider": "openai", "alias": "a", "kind": "api", '
     '"secret": "CANARY\\nx", "refresh": null, "expires_at": null, "identity": {}, "extra": {}, "settings": {}, '
     '"source": "add"}]}'],
    ids=["text", "list", "format", "incomplete", "header"],
)  # fmt: skip
def test_what_is_no_export_stores_nothing(run: Run, home: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert run("restore", str(tmp_path / "file"), "--yes")[0] == 1
    assert run("restore", str(tmp_path / "nowhere"), "--yes")[0] == 1
    assert not (home / "balancer.sqlite").exists() or accounts(home) == {}


def test_looking_makes_no_home(run: Run, home: Path) -> None:
    assert run("list")[0] == 0
    assert run("remove", "x", "--yes")[0] == 1
    assert not home.exists()


def test_a_lost_key_is_told_and_adding_again_cures(run: Run, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("add", "anthropic", "--alias", "work", stdin=KEY)
    run("add", "openai", "--alias", "gone", stdin="sk-CANARY-2")
    (home / "key").unlink()

    row = listed(run)["anthropic/work"]
    assert row["state"] == "unusable"
    assert "is gone" in str(row["problem"])
    assert f"{home}/key" in str(row["problem"])
    assert main(["status"]) == 0
    assert "is gone" in " ".join(capsys.readouterr().out.split())
    assert run("add", "anthropic", "--alias", "work", "--yes", stdin=KEY)[0] == 0
    rows = listed(run)
    assert rows["anthropic/work"]["state"] == "ready"
    assert "another key" in str(rows["openai/gone"]["problem"])
    assert run("remove", "openai/gone", "--yes")[0] == 0


@pytest.mark.e2e
def test_a_typed_key_is_not_shown(home: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mitm_balancer.cli", "accounts", "add", "anthropic", "--alias", "typed"],
        env=environ(home, BALANCER_VAULT="file"), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    ) as process:  # fmt: skip
        os.close(theirs)
        said = b""
        while b"(not shown): " not in said:
            said += os.read(ours, 1024)
        os.write(ours, KEY.encode() + b"\n")
        try:
            while chunk := os.read(ours, 1024):
                said += chunk
        except OSError:
            pass  # Linux: the other end is closed
    os.close(ours)
    assert process.returncode == 0, said
    assert b"CANARY" not in said
    assert b"anthropic/typed is stored" in said
