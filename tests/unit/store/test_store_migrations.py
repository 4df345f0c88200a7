"""Migrations: append-only, each once, all or nothing."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database
from store_helpers import cooldown

from mitm_balancer.store import Store, schema

type Opener = Callable[[], Store]

OLDER = (Path(__file__).parent / "schema_m001.sql").read_text()


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def columns(db: sqlite3.Connection) -> dict[str, list[object]]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'migrations'"
    return {name: db.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in db.execute(query)}


def names(path: Path) -> list[str]:
    with closing(connect(path)) as db:
        return [name for (name,) in db.execute("SELECT name FROM migrations ORDER BY rowid")]


def test_an_older_database_is_brought_up_to_date(home: Path, open_store: Opener) -> None:
    home.mkdir(mode=0o700)
    (home / "balancer.sqlite").touch(mode=0o600)
    with closing(connect(home / "balancer.sqlite")) as db:
        db.executescript(OLDER)
    store = open_store()
    assert store.cooldowns() == [cooldown("anthropic/old", "claude-x", strikes=2)]
    assert store.account_flags() == {"anthropic/old": {"paused": True}}
    store.add_trace("r", {"a": 1})
    store.close()
    assert names(home / "balancer.sqlite") == [step.__name__ for step in schema.MIGRATIONS]
    assert open_store().get_trace("r") == {"a": 1}


def test_released_migrations_are_never_renamed_or_reordered() -> None:
    released = [
        "m001_cooldowns_state_flags",
        "m002_traces_events",
        "m003_usage_windows",
        "m004_owners",
        "m005_bindings",
    ]
    assert [step.__name__ for step in schema.MIGRATIONS][: len(released)] == released


def test_the_fixture_is_what_the_first_migration_makes() -> None:
    with closing(connect(Path(":memory:"))) as made, closing(connect(Path(":memory:"))) as fixture:
        schema.MIGRATIONS[0](Database(made))
        fixture.executescript(OLDER)
        assert columns(made) == columns(fixture)
        assert set(columns(made)) == {"cooldowns", "state", "account_flags"}


def test_a_migration_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def m999_breaks(db: Database) -> None:
        db.table("half").create({"a": int})
        db.table("nowhere").add_column("b")

    with closing(connect(Path(":memory:"))) as db:
        monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, m999_breaks])
        with pytest.raises(sqlite3.OperationalError):
            schema.migrate(db)
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "half" not in tables
        assert "traces" in tables
        assert not db.in_transaction
        monkeypatch.undo()
        assert schema.migrate(db) == []


def test_processes_may_open_and_back_up_at_once(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mitm_balancer.store import Store; s = Store.open(Path(sys.argv[1]))"
    )
    code += "; s.put_state('k', {}); print(s.healthy, s.cooldowns()); s.close()"
    environment = {"PYTHONPATH": str(Path(schema.__file__).parents[2])}
    command = [sys.executable, "-c", code, str(home)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for _ in range(4)
    ]
    assert [process.communicate(timeout=30) for process in processes] == [("None []\n", "")] * 4
    assert len(names(home / "balancer.sqlite")) == len(schema.MIGRATIONS)
