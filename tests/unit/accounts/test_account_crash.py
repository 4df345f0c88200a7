"""P8: SIGKILL at every step of saving and renewing loses nothing acknowledged, and leaves nothing half done."""

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from account_samples import login

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.store import Store, database

LAST = 4
"""Generations that a whole run stores."""

STEPS = ("open", "write", "fsync", "link", "unlink", "rename", "replace")
"""What of `os` changes files."""


def work(home: Path, acknowledge: Callable[[int], None]) -> None:
    """Save, then renew, as a refresher does it; each generation is acknowledged once the call has returned."""
    store = Store.open(home)
    book = AccountBook(store, Vault.open(home))
    account = book.save("codex", "me", login("access-1", "refresh-1"), "login", activate=True)
    acknowledge(1)
    for number in range(2, LAST + 1):
        renewed = book.renew(account.name, login(f"access-{number}", f"refresh-{number}"), generation=number - 1)
        assert renewed is not None
        acknowledge(number)
    store.close()


def run_and_die(home: Path, step: int) -> tuple[int, bool]:
    """Do the work in a process that is killed at its `step`-th change; what it acknowledged last, and if it ended."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            die_at(step)
            work(home, lambda number: _tell(write, number))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as said:
        acknowledged = said.read()
    _, status = os.waitpid(child, 0)
    return max(acknowledged, default=0), not os.WIFSIGNALED(status)


_write = os.write


def _tell(pipe: int, number: int) -> None:
    _write(pipe, bytes([number]))


def die_at(step: int) -> None:
    """SIGKILL before the step-th statement of SQLite or change of a file, counted together."""
    left = [step]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name), count))
    connect = sqlite3.connect

    def traced(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)  # type: ignore[call-overload]
        connection.set_trace_callback(count)
        return connection

    database.sqlite3.connect = traced  # type: ignore[attr-defined]


def counted(function: Callable[..., object], count: Callable[[], None]) -> Callable[..., object]:
    def call(*args: object, **kwargs: object) -> object:
        count()
        return function(*args, **kwargs)

    return call


def test_killed_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALANCER_VAULT", "file")
    # The tables are made before: their own crash test is another one.
    steps, ended = 0, False
    while not ended:
        steps += 1
        home = tmp_path / str(steps)
        Store.open(home).close()
        acknowledged, ended = run_and_die(home, steps)
        store = Store.open(home)
        (account,) = AccountBook(store, Vault.open(home)).all() or (None,)
        if account is None:
            assert acknowledged == 0, steps
        else:
            assert account.problem == "", steps
            assert account.generation >= max(acknowledged, 1), steps
            credential = account.credential
            assert credential is not None and credential.refresh is not None
            assert (credential.secret.reveal(), credential.refresh.reveal()) == (
                f"access-{account.generation}", f"refresh-{account.generation}",
            ), steps  # fmt: skip
            # It goes on from there.
            book = AccountBook(store, Vault.open(home))
            assert book.renew("codex/me", login("access-9", "refresh-9"), generation=account.generation) is not None
        assert store.healthy is None
        store.close()
        assert not [path.name for path in home.iterdir() if "corrupt" in path.name], steps
    assert acknowledged == LAST
    assert steps > 40, "the steps are not counted any more"
