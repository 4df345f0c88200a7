"""What the tests of `balancer accounts import|login|capture|pending|accept|dismiss` share."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.main import main
from mitm_balancer.store import Store


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@dataclass(slots=True)
class World:
    """A user's home, a balancer's home, and a command line."""

    user: Path
    home: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str, typed: str | None = None, piped: str = "") -> tuple[int, str, str]:
        """`balancer accounts ...`; the exit code, stdout and stderr. `typed`: on a terminal."""
        stdin = io.TextIOWrapper(io.BytesIO(piped.encode())) if typed is None else Terminal(typed)
        self.monkeypatch.setattr(sys, "stdin", stdin)
        try:
            code = main(["accounts", *words])
        except SystemExit as e:
            code = int(e.code or 0)
        said = self.capsys.readouterr()
        assert "CANARY" not in said.out + said.err
        return code, said.out, said.err

    def books[T](self, work: Callable[[AccountBook], T]) -> T:
        store = Store.open(self.home)
        try:
            return work(AccountBook(store, Vault.open(self.home)))
        finally:
            store.close()

    def accounts(self) -> dict[str, StoredAccount]:
        return self.books(lambda book: {account.name: account for account in book.all()})

    def tokens(self, name: str) -> tuple[str, str | None]:
        """Access and refresh."""
        credential = self.accounts()[name].credential
        assert credential is not None
        return credential.secret.reveal(), credential.refresh.reveal() if credential.refresh is not None else None
