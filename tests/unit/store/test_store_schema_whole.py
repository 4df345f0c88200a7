"""A database with something in every table, as the code of its day made it: nothing of it changes, nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import everything
import pytest
from everything import DISMISSED, FAR, KEY, LOGIN, SEEN, SETTINGS, WORK, dump

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.oauth.rules import Use
from mitm_balancer.accounts.oauth.services import SERVICES
from mitm_balancer.accounts.oauth.uses import SPENT, Uses
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.store import CooldownRow, Store, UsageRow, WindowRow, asks, schema, snapshots

type Opener = Callable[[], Store]
type Rows = dict[str, list[tuple[object, ...]]]

FIXTURE = Path(__file__).parent / "schema_m014.sql"
THEN = [
    "m001_cooldowns_state_flags", "m002_traces_events", "m003_usage_windows", "m004_owners", "m005_bindings",
    "m006_settings", "m007_accounts", "m013_asks", "m010_usage_snapshots", "m009_token_uses", "m014_origin_of_events",
]  # fmt: skip


@pytest.fixture
def laid(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fixture in a home, with the key of its vault."""
    monkeypatch.setenv("BALANCER_VAULT", "file")
    home.mkdir(mode=0o700)
    everything.lay_key(home)
    (home / "balancer.sqlite").touch(mode=0o600)
    with closing(sqlite3.connect(home / "balancer.sqlite", isolation_level=None)) as db:
        db.executescript(FIXTURE.read_text())
    return home


def rows_of(path: Path, columns: dict[str, list[str]] | None = None) -> tuple[Rows, dict[str, list[str]]]:
    """Every row of every table, and the columns; of those `columns` only, where they are given."""
    with closing(sqlite3.connect(path)) as db:
        if columns is None:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            columns = {name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for name in tables}
        quoted = {name: ", ".join(f'"{column}"' for column in of) for name, of in columns.items()}
        return {name: db.execute(f"SELECT {of} FROM {name}").fetchall() for name, of in quoted.items()}, columns


def test_it_has_something_in_every_table(laid: Path) -> None:
    found, _ = rows_of(laid / "balancer.sqlite")
    assert [name for name, rows in found.items() if not rows] == []
    assert [name for name, _ in found["migrations"]] == THEN


def test_it_is_what_its_migrations_make(laid: Path) -> None:
    assert [step.__name__ for step in schema.MIGRATIONS][: len(THEN)] == THEN, "released: never renamed or reordered"
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        for step in schema.MIGRATIONS[: len(THEN)]:
            step(schema.Database(made))
        kept = {
            line for line in dump(laid / "balancer.sqlite") if line.startswith("CREATE") and "migrations" not in line
        }
        assert {line for line in made.iterdump() if line.startswith("CREATE")} == kept


def test_migrating_loses_nothing(laid: Path, open_store: Opener) -> None:
    """With the migrations of its day alone, not even a byte is another."""
    path = laid / "balancer.sqlite"
    before, columns = rows_of(path)
    text = dump(path)
    store = open_store()
    assert store.healthy is None
    assert store.cooldowns()
    store.close()
    ran = [step.__name__ for step in schema.MIGRATIONS][len(THEN) :]
    after, _ = rows_of(path, columns)
    assert [row[0] for row in after.pop("migrations")] == THEN + ran
    del before["migrations"]
    assert after == before
    assert ran or dump(path) == text


def test_all_of_it_is_understood(laid: Path, open_store: Opener) -> None:
    store = open_store()
    assert store.cooldowns() == [CooldownRow(WORK, "claude-x", 2000.0, 1000.0, 1000.0, "rate_limit", 2)]
    assert store.account_flags() == {WORK: {"paused": True}}
    assert {name: store.settings()[name] for name in ("balancing", "active")} == {
        "balancing": False, "active": {"anthropic": WORK},
    }  # fmt: skip
    assert store.get_state("proxy") == {"pid": 1}
    assert store.get_trace("aaaabbbbcccc") == {"account": WORK}
    event = store.events()[-1]
    assert (event.type, event.account, event.message, event.origin) == ("failover_performed", WORK, "told", "proxy")
    assert store.usage("2999-01-01") == [UsageRow("2999-01-01", WORK, "claude-x", answers=1, input=10, output=20)]
    assert store.windows() == [WindowRow(WORK, "5h", FAR, used_percent=50.0, minutes=300, source="poll")]
    assert store.owners() == [("fingerprint-of-an-id", WORK, 1000.0)]
    assert store.bindings() == [("fingerprint-of-a-session", WORK, 1000.0)]
    assert len(store.owners_secret() or b"") == 32
    assert asks.replied(store, 1) == {"cleared": [WORK]}
    assert snapshots.listed(store)[WORK].plan == "max"


def test_credentials_of_then_open_and_what_was_decided_stays(laid: Path, open_store: Opener) -> None:
    store = open_store()
    book = AccountBook(store, Vault.open(laid))
    work, spare = book.all()
    assert (work.name, work.credential, work.settings, work.source) == (WORK, LOGIN, SETTINGS, "login")
    assert (spare.name, spare.credential, spare.problem) == ("anthropic/spare", KEY, "")
    assert LOGIN.refresh is not None
    assert Uses(store).find(SERVICES["anthropic"], LOGIN.refresh) == Use(1000.0, 1, SPENT)
    assert book.capture("anthropic", DISMISSED, "capture") is None
    (pending,) = book.pending()
    assert book.accept(pending.id, "seen").credential == SEEN
    assert book.rename(WORK, "new").name == "anthropic/new"


def test_the_program_makes_the_same_today(tmp_path: Path) -> None:
    """So that the next fixture can be made: something in every table, new ones too."""
    everything.fill(tmp_path / "home")
    found, _ = rows_of(tmp_path / "home" / "balancer.sqlite")
    assert [name for name, rows in found.items() if not rows] == []
    assert [name for name, _ in found["migrations"]] == [step.__name__ for step in schema.MIGRATIONS]
