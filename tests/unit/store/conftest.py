"""A store in a fresh home, closed at the end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mitm_balancer.store import Store, database, writer

type Opener = Callable[[], Store]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def open_store(home: Path) -> Iterator[Opener]:
    opened: list[Store] = []

    def opener() -> Store:
        opened.append(Store.open(home))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Opener) -> Store:
    return open_store()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits, for tests of trouble."""
    monkeypatch.setattr(database, "BUSY", 0.05)
    monkeypatch.setattr(writer, "RETRY_DELAY", 0.05)
    monkeypatch.setattr(writer, "BATCH_DELAY", 0.02)
