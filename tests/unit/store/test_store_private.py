"""Nobody else may read the store: modes are there from the beginning, and lax ones are refused."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_helpers import cooldown, eventually

from mitm_balancer.store import Store, StoreError

type Opener = Callable[[], Store]


@pytest.fixture(params=[0o000, 0o022], ids=["umask-000", "umask-022"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask")
def test_modes(open_store: Opener, home: Path) -> None:
    store = open_store()
    store.save_cooldown(cooldown()).result(5)
    eventually((home / "balancer.sqlite.bak").exists)
    modes = {file.name: file.stat().st_mode & 0o777 for file in home.iterdir()}
    assert modes == dict.fromkeys((f"balancer.sqlite{end}" for end in ("", "-wal", "-shm", ".bak")), 0o600)
    assert home.stat().st_mode & 0o777 == 0o700


def test_the_file_has_its_mode_from_its_first_moment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created: dict[str, int] = {}
    real_open = os.open

    def spying(path: str, flags: int, mode: int = 0o777, **rest: int) -> int:
        if flags & os.O_CREAT:
            assert flags & os.O_EXCL
            created[Path(path).name] = mode
        return real_open(path, flags, mode, **rest)

    monkeypatch.setattr(os, "open", spying)
    Store.open(home).close()
    assert created["balancer.sqlite"] == 0o600


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o755, 0o710])
def test_an_open_home_is_refused(home: Path, mode: int) -> None:
    home.mkdir()
    home.chmod(mode)
    with pytest.raises(StoreError, match=rf"home is open to other users \({mode:04o}\): chmod 700 .*home$"):
        Store.open(home)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("name", ["balancer.sqlite", "balancer.sqlite-wal", "balancer.sqlite-shm"])
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_open_files_are_refused(home: Path, name: str, mode: int) -> None:
    Store.open(home).close()
    file = home / name
    file.touch()
    file.chmod(mode)
    with pytest.raises(StoreError, match=rf"{name} is open to other users \({mode:04o}\): chmod 600 .*{name}$"):
        Store.open(home)


def test_a_file_in_the_place_of_the_home_is_refused(home: Path) -> None:
    home.write_text("")
    with pytest.raises(StoreError, match="is not a folder: choose another balancer_home"):
        Store.open(home)
