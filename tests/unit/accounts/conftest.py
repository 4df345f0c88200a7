"""A book over a real store in a fresh home, with the key in a file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.store import Store

type Books = Callable[[], AccountBook]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BALANCER_VAULT", "file")
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    store = Store.open(home)
    yield store
    store.close()


@pytest.fixture
def books(home: Path, store: Store) -> Books:
    """Books that have nothing of each other but what is on the disk."""
    return lambda: AccountBook(store, Vault.open(home))


@pytest.fixture
def book(books: Books) -> AccountBook:
    return books()
