"""`balancer doctor`: the home, the store, the vault, the configuration, the accounts and their keys."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import time
from pathlib import Path

import pytest
from doctor_bench import KEY, found, laid_out, spec, with_, worst

from mitm_balancer.accounts.model import AccountSettings, Credential, StoredAccount
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.doctor.accounts import accounts, configuration, keys
from mitm_balancer.cli.doctor.folder import damage_of, home, store, vault
from mitm_balancer.cli.doctor.model import Bench, Level
from mitm_balancer.cli.main import main
from mitm_balancer.config import AccountSpec, BaseUrl, Config, Stored
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return laid_out(tmp_path)


# -- the home ---------------------------------------------------------------------------------------------------------


def test_a_home_that_others_can_read_fails_and_each_file_is_named(bench: Bench) -> None:
    Store.open(bench.home).close()
    bench.home.chmod(0o755)
    (bench.home / "balancer.sqlite").chmod(0o644)
    texts = [text for level, text in found(home, bench) if level == "fail"]
    assert len(texts) == 2
    assert f"others can read {bench.home} (0755)" in texts[0]
    assert "balancer.sqlite (0644)" in texts[1]
    assert worst(home, with_(bench, home=bench.home / "none")) == "ok"


def test_a_store_is_looked_at_and_not_touched(bench: Bench) -> None:
    assert found(store, bench) == [("ok", "none yet")]
    assert damage_of(bench.home) is None
    assert list(bench.home.iterdir()) == []
    made = Store.open(bench.home)
    made.put_state("x", {"a": 1})
    made.close()
    path = bench.home / "balancer.sqlite"
    before = path.read_bytes()
    ((level, text),) = found(store, bench)
    assert (level, text.startswith("sound, ")) == ("ok", True)
    assert path.read_bytes() == before


def test_a_damaged_store_fails_and_is_not_mended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bench.home / "balancer.sqlite"
    path.touch(mode=0o600)
    path.write_bytes(b"no database at all, but long enough to look at" * 100)
    assert worst(store, bench) == "fail"
    assert damage_of(bench.home) == "file is not a database"
    before = sorted(bench.home.iterdir())
    monkeypatch.setenv("BALANCER_HOME", str(bench.home))
    monkeypatch.delenv("BALANCER_CONFIG", raising=False)
    assert main(["doctor", "--json", "-p", "0"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert sorted(bench.home.iterdir()) == before


def test_a_newer_balancers_store_and_a_clock_that_went_back(bench: Bench) -> None:
    Store.open(bench.home).close()
    with sqlite3.connect(bench.home / "balancer.sqlite") as db:
        db.execute("INSERT INTO migrations VALUES ('m999_later', 0)")
        db.execute("INSERT INTO events (at, type) VALUES (?, 'x')", (time.time() + 3600,))
    db.close()
    assert [level for level, _ in found(store, bench)] == ["warn", "warn"]


def stored(name: str = "anthropic/kept", problem: str = "") -> StoredAccount:
    provider, alias = name.split("/")
    credential = None if problem else Credential("api", Secret(KEY))
    return StoredAccount("1", provider, alias, credential, 1, AccountSettings(), "add", 0.0, 0.0, problem=problem)


def test_the_vault(bench: Bench) -> None:
    assert found(vault, bench) == [("ok", "no account is stored; the first one makes its key")]
    assert worst(vault, with_(bench, stored=[stored()])) == "fail", "its key is gone"
    os.environ["BALANCER_VAULT"] = "file"
    try:
        Vault.open(bench.home).seal(b"x", "y")
    finally:
        del os.environ["BALANCER_VAULT"]
    assert found(vault, with_(bench, stored=[stored()])) == [("ok", "1 stored account, all readable")]
    bad = stored(problem="damaged: add the account again")
    assert found(vault, with_(bench, stored=[bad])) == [("warn", "anthropic/kept: damaged")]
    (bench.home / "key").chmod(0o644)
    assert worst(vault, with_(bench, stored=[stored()])) == "fail"


# -- configuration and accounts ---------------------------------------------------------------------------------------


def test_every_mistake_of_the_configuration_is_a_finding(bench: Bench) -> None:
    bad = with_(bench, config_problems=("a.yaml:1: x", "a.yaml:2: y"))
    assert [level for level, _ in found(configuration, bad)] == ["fail", "fail"]
    assert found(accounts, bad) == [], "of a file that cannot be read nothing follows"
    source = bench.config_file
    source.touch(mode=0o644)
    open_one = with_(bench, config=dataclasses.replace(bench.config, source=source))
    assert worst(configuration, open_one) == "warn"
    source.chmod(0o600)
    assert worst(configuration, open_one) == "ok"


def test_who_could_serve(bench: Bench) -> None:
    assert worst(accounts, with_(bench, config=Config())) == "warn"
    assert worst(accounts, with_(bench, secrets={})) == "fail"
    assert found(accounts, bench) == [("ok", "1 of 1 can be used; with one there is nothing to fail over to")]
    three = Config(accounts=(spec(), spec("anthropic/two"), spec("openai/key")))
    secrets = {account.name: Secret("x") for account in three.accounts}
    text = "3 of 3 can be used; nobody stands in for the one of openai"
    assert found(accounts, with_(bench, config=three, secrets=secrets)) == [("ok", text)]
    assert (
        worst(accounts, with_(bench, roster_problems=("a/b is declared and stored: give one another name",))) == "warn"
    )


@pytest.mark.parametrize(
    ("account", "secret", "level"),
    [
        (spec("openai/k"), "sk-ant-api03-x", "warn"),
        (spec("openai/k", enabled=False), "sk-ant-api03-x", ""),
        (spec("corp/k"), "anything", "ok"),
        (spec("openai/k", base_url=BaseUrl("https", "g.example", 443)), "sk-ant-api03-x", "ok"),
        (spec("groq/k"), "gsk_abc", "ok"),
        (spec("copilot/k"), f"tid=1;exp={int(time.time()) - 7200};x", "warn"),
        (spec("copilot/k", credential=Stored("copilot/k")), f"tid=1;exp={int(time.time()) - 7200};x", "ok"),
    ],
    ids=["foreign", "disabled", "own-provider", "gateway", "right", "ended", "renewed-by-the-proxy"],
)
def test_the_form_of_keys(bench: Bench, account: AccountSpec, secret: str, level: str) -> None:
    laid = with_(bench, config=Config(accounts=(account,)), secrets={account.name: Secret(secret)})
    assert worst(keys, laid) == level


def test_a_credential_that_cannot_be_had_names_its_cure(bench: Bench) -> None:
    laid = with_(bench, secrets={}, credential_problems={"anthropic/work": "variable X is not set: set it"})
    (finding,) = keys(laid)
    assert (finding.level, finding.text, finding.cure) == (
        Level.WARN,
        "anthropic/work: variable X is not set",
        "set it",
    )
