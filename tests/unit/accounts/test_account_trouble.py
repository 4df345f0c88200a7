"""P7 and P9 for stored accounts: nothing readable on the disk; a store in trouble keeps what is known, and is told."""

import logging
import resource
import signal
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from account_samples import key, login

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountError
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.store import Store, database, writer

type Books = Callable[[], AccountBook]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY", 0.05)
    monkeypatch.setattr(writer, "RETRY_DELAY", 0.05)
    monkeypatch.setattr(writer, "BATCH_DELAY", 0.02)


def eventually(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def held(home: Path) -> Iterator[sqlite3.Connection]:
    """Another program has the write lock."""
    with closing(sqlite3.connect(home / "balancer.sqlite", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def names(book: AccountBook) -> list[str]:
    return [account.name for account in book.all() if account.credential is not None]


def test_a_locked_store_is_told_and_nothing_is_lost(book: AccountBook, home: Path) -> None:
    saved = book.save("codex", "me", login("a1", "r1"), "login")
    with held(home):
        assert names(book) == ["codex/me"]
        for change in (
            lambda: book.save("codex", "other", login("b", "s"), "login"),
            lambda: book.renew(saved.name, login("a2", "r2"), generation=1),
            lambda: book.rename(saved.name, "new"),
            lambda: book.remove(saved.name),
        ):
            with pytest.raises(
                AccountError, match=r"nothing was changed: balancer\.sqlite cannot be written: .*locked"
            ):
                change()
    assert names(book) == ["codex/me"]
    assert book.renew(saved.name, login("a2", "r2"), generation=1) is not None


def test_a_lock_that_ends_in_time_costs_no_token(book: AccountBook, home: Path) -> None:
    book.save("codex", "me", login("a1", "r1"), "login")
    with held(home) as other:
        threading.Timer(0.1, other.rollback).start()
        assert book.renew("codex/me", login("a2", "r2"), generation=1) is not None


def test_a_full_disk_is_told_and_it_goes_on_later(book: AccountBook, home: Path) -> None:
    book.save("codex", "me", login("a1", "r1"), "login")
    eventually((home / "balancer.sqlite.bak").exists)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signalled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((home / "balancer.sqlite-wal").stat().st_size, before[1]))
    try:
        with pytest.raises(AccountError, match="cannot be written"):
            book.save("codex", "big", login("x" * 100_000, "r"), "login")
        assert names(book) == ["codex/me"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, signalled)
    book.save("codex", "big", login("x" * 100_000, "s"), "login")
    assert names(book) == ["codex/me", "codex/big"]


def test_a_store_that_cannot_be_read_keeps_what_is_known(
    book: AccountBook, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.save("codex", "me", login("a1", "r1"), "login")
    assert names(book) == ["codex/me"]

    def broken() -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(store._database, "connection", broken)
    assert names(book) == ["codex/me"]
    with pytest.raises(AccountError, match="unable to open"):
        book.rename("codex/me", "new")
    monkeypatch.undo()
    assert names(book) == ["codex/me"]


@pytest.mark.parametrize("running", [False, True], ids=["at-start", "while-running"])
def test_a_damaged_store_comes_back_with_its_accounts(home: Path, store: Store, books: Books, running: bool) -> None:
    book = books()
    book.save("codex", "me", login("a1", "r1"), "login")
    store.add_event("x")
    eventually((home / "balancer.sqlite.bak").exists)
    if not running:
        store.close()
    for suffix in ("", "-wal", "-shm"):
        path = home / f"balancer.sqlite{suffix}"
        if path.exists():
            path.write_bytes(b"this is no database" * 500)
    if running:
        store._database.close()
        assert names(book) == ["codex/me"]
        assert book.renew("codex/me", login("a2", "r2"), generation=1) is not None
    else:
        store = Store.open(home)
        assert names(AccountBook(store, Vault.open(home))) == ["codex/me"]
        store.close()
    assert list(home.glob("*.corrupt*"))


def test_accounts_that_can_still_be_read_are_saved_from_a_damaged_file(home: Path, store: Store, books: Books) -> None:
    """Without any backup."""
    book = books()
    book.save("codex", "me", login("a1", "r1"), "login")
    seen = book.capture("openai", key("other"), "http")
    gone = book.capture("openai", key("gone"), "http")
    assert seen is not None and gone is not None
    book.dismiss(gone.id)
    for n in range(300):
        store.add_trace(f"r{n}", {"noise": "x" * 500})
    eventually(lambda: not store._writer.pending("trace"))
    store.close()
    path = home / "balancer.sqlite"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)
    (home / "balancer.sqlite.bak").unlink()

    store = Store.open(home)
    book = AccountBook(store, Vault.open(home))
    assert list(home.glob("*.corrupt*"))
    assert names(book) == ["codex/me"]
    assert [pending.id for pending in book.pending()] == [seen.id]
    assert book.capture("openai", key("gone"), "http") is None
    store.close()


@pytest.mark.parametrize("jump", [-86400.0, 86400.0], ids=["a-day-back", "a-day-ahead"])
def test_a_clock_that_jumps_changes_no_decision(
    book: AccountBook, books: Books, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    real = time.time
    book.save("codex", "first", login("a1", "r1"), "login")
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    second = book.save("codex", "second", login("b1", "s1"), "login")
    renewed = book.renew("codex/first", login("a2", "r2"), generation=1)
    assert renewed is not None and renewed.generation == 2
    assert book.renew("codex/first", login("a3", "r3"), generation=1) is None
    monkeypatch.undo()
    assert {account.name: account.generation for account in books().all()} == {"codex/first": 2, "codex/second": 1}
    assert book.renew("codex/second", login("b2", "s2"), generation=second.generation) is not None


def test_nothing_is_readable_on_the_disk(book: AccountBook, store: Store, home: Path) -> None:
    """Also of what was renewed, removed, captured and dismissed."""
    saved = book.save("codex", "me", login("CANARY-a1", "CANARY-r1", email="CANARY@mail", account_uuid="CANARY-u"), "x")
    book.renew(saved.name, login("CANARY-a2", "CANARY-r2", email="CANARY@mail"), generation=1)
    book.save("openai", "gone", key("CANARY-key"), "add")
    book.remove("openai/gone")
    for text in ("CANARY-accepted", "CANARY-dismissed", "CANARY-waiting"):
        assert book.capture("openai", key(text), "http") is not None
    waiting, dismissed, accepted = book.pending()
    book.accept(accepted.id, "taken")
    book.dismiss(dismissed.id)
    assert [pending.id for pending in book.pending()] == [waiting.id]
    store.add_event("x")
    eventually((home / "balancer.sqlite.bak").exists)
    assert {path.name for path in home.iterdir()} >= {"balancer.sqlite", "balancer.sqlite-wal", "key"}
    for path in home.iterdir():
        assert b"CANARY" not in path.read_bytes(), path.name
    assert len((home / "key").read_bytes()) == 70


def test_nothing_is_readable_in_what_people_see(
    book: AccountBook, books: Books, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    saved = book.save("codex", "me", login("CANARY-a1", "CANARY-r1"), "login")
    pending = book.capture("openai", key("CANARY-2"), "http")
    store.transact(lambda c: c.execute("UPDATE accounts SET sealed = substr(sealed, 1, 40) WHERE alias = 'me'"))
    seen = [repr(saved), str(saved.credential), repr(pending), repr(books().all()), f"{saved.credential}", caplog.text]
    try:
        book.accept("p-nobody", "x")
    except AccountError:
        seen.append(traceback.format_exc())
    assert "CANARY" not in "".join(seen)
    assert "CANARY" not in str(store.events())
