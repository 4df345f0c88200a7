"""Who made a resource survives a restart, stays bounded, and says nothing to who steals the file."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from store_helpers import cooldown, eventually

from mitm_balancer.store import Store
from mitm_balancer.store import store as module

type Opener = Callable[[], Store]


def test_kept_over_a_restart_newest_last(open_store: Opener) -> None:
    store = open_store()
    store.save_owner("k1", "openai/a", 1.0)
    store.save_owner("k2", "openai/b", 2.0)
    store.save_owner("k1", "openai/c", 3.0)
    expected = [("k2", "openai/b", 2.0), ("k1", "openai/c", 3.0)]
    assert store.owners() == expected, "also while they wait to be written"
    store.close()
    assert open_store().owners() == expected


def test_a_row_that_is_written_again_is_the_newest(open_store: Opener) -> None:
    store = open_store()
    for key in ("k1", "k2"):
        store.save_owner(key, "openai/a", 1.0)
    assert store.save_cooldown(cooldown()).result(10), "a durable write behind them: all are on disk"
    store.save_owner("k1", "openai/a", 2.0)
    assert [key for key, _, _ in store.owners()] == ["k2", "k1"]
    store.close()
    assert [key for key, _, _ in open_store().owners()] == ["k2", "k1"]


def test_only_so_many_stay(open_store: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = {**module._HOUSEKEEPING, "owner": module._BOUND.format("owners", 3)}
    monkeypatch.setattr(module, "_HOUSEKEEPING", bound)
    store = open_store()
    for n in range(7):
        store.save_owner(f"k{n}", "openai/a", float(n))
    eventually(lambda: [key for key, _, _ in store.owners()] == ["k4", "k5", "k6"])


def test_the_secret_is_made_once(home: Path, open_store: Opener, tmp_path: Path) -> None:
    """32 bytes, the same after a restart, another one in another home."""
    store = open_store()
    secret = store.owners_secret()
    store.close()
    other = Store.open(tmp_path / "other")
    try:
        assert secret is not None and len(secret) == 32
        assert open_store().owners_secret() == secret != other.owners_secret()
    finally:
        other.close()


@pytest.mark.parametrize("value", ["{}", '{"hex": "no"}', "not json"])
def test_a_spoilt_secret_is_none(home: Path, open_store: Opener, value: str) -> None:
    store = open_store()
    with closing(sqlite3.connect(home / "balancer.sqlite")) as db, db:
        db.execute("UPDATE state SET value = ? WHERE key = 'owners-secret'", (value,))
    assert store.owners_secret() is None
