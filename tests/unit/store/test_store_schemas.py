"""Databases of every schema that was ever made are brought up to date, with all that they hold."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mitm_balancer.accounts import moves
from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store, schema

type Opener = Callable[[], Store]

HERE = Path(__file__).parent
PACKAGES = Path(schema.__file__).parents[2]
FIXTURES = sorted(HERE.glob("schema_m00[1-6].sql"))

MOVING = {"account", "name"}
"""Columns that hold an account's name."""
NO_ACCOUNT = {("limit_windows", "name"), ("migrations", "name")}
THE_PAST = {("events", "account")}
"""What has happened happened under the old name."""


def lay(fixture: Path, home: Path) -> None:
    """Put a database as it was into a home."""
    home.mkdir(mode=0o700)
    (home / "balancer.sqlite").touch(mode=0o600)
    with closing(sqlite3.connect(home / "balancer.sqlite", isolation_level=None)) as db:
        db.executescript(fixture.read_text())


def test_there_is_a_fixture_of_each() -> None:
    assert [int(path.stem[-3:]) for path in FIXTURES] == list(range(1, len(FIXTURES) + 1))
    assert len(FIXTURES) >= 6


@pytest.mark.parametrize("number", range(1, len(FIXTURES) + 1))
def test_it_is_brought_up_to_date(home: Path, open_store: Opener, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALANCER_VAULT", "file")
    lay(FIXTURES[number - 1], home)
    store = open_store()

    assert store.healthy is None
    assert [row.name for row in store.cooldowns()] == ["anthropic/old"]
    assert store.account_flags() == {"anthropic/old": {"paused": True}}
    assert (store.get_trace("aaaabbbbcccc") is not None) == (number >= 2)
    assert [event.message for event in store.events()] == ["told"] * (number >= 2)
    assert [row.output for row in store.usage("2999-01-01")] == [20] * (number >= 3)
    assert [row.minutes for row in store.windows()] == [300] * (number >= 3)
    assert len(store.owners()) == (number >= 4)
    assert len(store.bindings()) == (number >= 5)
    assert store.settings() == ({"balancing": False} if number >= 6 else {})
    if number >= 4:
        assert store.owners_secret() == bytes(32)
    book = AccountBook(store, Vault.open(home))
    book.save("anthropic", "old", Credential("api", Secret("k")), "add")
    assert book.rename("anthropic/old", "new").name == "anthropic/new"
    assert store.account_flags() == {"anthropic/new": {"paused": True}}


def test_a_fixture_is_what_its_migrations_make() -> None:
    from sqlite_utils import Database

    for number, fixture in enumerate(FIXTURES, 1):
        with closing(sqlite3.connect(":memory:")) as made, closing(sqlite3.connect(":memory:")) as kept:
            for step in schema.MIGRATIONS[:number]:
                step(Database(made))
            kept.executescript(fixture.read_text())
            assert tables(made) == {name: of for name, of in tables(kept).items() if name != "migrations"}


def tables(db: sqlite3.Connection) -> dict[str, list[object]]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    return {name: db.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in db.execute(query).fetchall()}


def test_every_table_that_names_accounts_follows_a_rename(open_store: Opener, home: Path) -> None:
    open_store()
    with closing(sqlite3.connect(home / "balancer.sqlite")) as db:
        found = {(name, column[1]) for name, columns in tables(db).items() for column in columns}  # type: ignore[index]
    named = {entry for entry in found if entry[1] in MOVING} - NO_ACCOUNT - THE_PAST
    assert named == set(moves.FOLLOW)


ADDING = """
import sys
from pathlib import Path
from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import Credential
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
sys.stdin.readline()
home, number = Path(sys.argv[1]), sys.argv[2]
store = Store.open(home)
for n in range(3):
    credential = Credential("api", Secret(f"k{number}-{n}"))
    AccountBook(store, Vault.open(home)).save("openai", f"{number}-{n}", credential, "add")
print(store.healthy)
store.close()
"""


def test_eight_processes_open_an_old_database_at_once(home: Path, open_store: Opener) -> None:
    lay(FIXTURES[0], home)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES), "BALANCER_VAULT": "file"}
    command = [sys.executable, "-c", ADDING, str(home)]
    processes = [
        subprocess.Popen(
            [*command, str(number)], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number in range(8)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60) for process in processes] == [("None\n", "")] * 8
    store = open_store()
    found = AccountBook(store, Vault.open(home)).all()
    assert {account.name for account in found} == {f"openai/{number}-{n}" for number in range(8) for n in range(3)}
    assert all(account.credential is not None for account in found)
    assert [row.name for row in store.cooldowns()] == ["anthropic/old"]
    assert not list(home.glob("*corrupt*"))
