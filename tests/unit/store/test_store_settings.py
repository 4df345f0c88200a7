"""Settings, and transactions of one's own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mitm_balancer.store import Store, StoreError


@pytest.fixture
def store(tmp_path: Path):
    store = Store.open(tmp_path / "home")
    yield store
    store.close()


def test_a_setting_is_seen_at_once_and_after_a_restart(store: Store, tmp_path: Path) -> None:
    stored = store.set_setting("strategy", "drain")
    store.set_setting("matrix", [{"provider": "anthropic"}])
    assert store.settings() == {"strategy": "drain", "matrix": [{"provider": "anthropic"}]}
    assert stored.result(5)
    store.close()
    again = Store.open(tmp_path / "home")
    assert again.settings()["matrix"] == [{"provider": "anthropic"}]
    assert again.set_setting("strategy", None).result(5)
    assert "strategy" not in again.settings()
    again.close()


def test_a_transaction_is_whole_or_nothing(store: Store) -> None:
    def both(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO settings VALUES ('a', '1', 0)")
        connection.execute("INSERT INTO settings VALUES ('b', '2', 0)")
        return "done"

    assert store.transact(both) == "done"
    assert store.settings() == {"a": 1, "b": 2}

    def fails(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM settings")
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        store.transact(fails)
    assert store.settings() == {"a": 1, "b": 2}


def test_a_transaction_that_cannot_be_written_says_so(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        store.transact(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))
