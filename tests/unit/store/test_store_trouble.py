"""P9: a locked, full, read-only or damaged database never raises into traffic; the operator is told; it recovers."""

import logging
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from store_helpers import cooldown, eventually

from mitm_balancer.store import Store, database, repair, schema, writer

type Opener = Callable[[], Store]

pytestmark = pytest.mark.usefixtures("impatient")


def file_of(home: Path) -> Path:
    return home / "balancer.sqlite"


def filled(home: Path, rows: int = 1) -> None:
    """A sound database with a backup, closed."""
    store = Store.open(home)
    for n in range(rows):
        store.save_cooldown(cooldown(f"a/{n}"))
    store.set_account_flag("a/0", "paused", True).result(30)
    for n in range(300):
        store.add_trace(f"r{n}", {"noise": "x" * 500})
    eventually((home / "balancer.sqlite.bak").exists)
    store.close()
    assert not (home / "balancer.sqlite-wal").exists()


def use(store: Store) -> list[bool]:
    """Every kind of write, as traffic does it; none may raise."""
    store.put_state("heartbeat", {"at": 1})
    store.add_trace("r", {"a": 1})
    store.add_event("failover")
    futures = [store.save_cooldown(cooldown("a/new")), store.set_account_flag("a/new", "paused", True)]
    return [future.result(30) for future in futures]


def works(store: Store) -> bool:
    return store.healthy is None and store._writer.pending("cooldown") == []


def test_locked(home: Path, open_store: Opener, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store()
    use(store)
    with closing(sqlite3.connect(file_of(home), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert use(store) == [False, False]
        assert store.healthy == "balancer.sqlite: database is locked (5 writes waiting)"
        assert use(store) == [False, False]
        # What waits is read, and a key waits once.
        assert store.account_flags() == {"a/new": {"paused": True}}
        assert store.healthy == "balancer.sqlite: database is locked (6 writes waiting)"  # an event each time
        time.sleep(0.5)
    eventually(lambda: works(store))
    assert [row.name for row in store.cooldowns()] == ["a/new"]
    warnings = [record.getMessage() for record in caplog.records]
    # Once a minute, however often it is tried.
    assert [text for text in warnings if "cannot be written" in text] == [
        "the store cannot be written, traffic goes on: balancer.sqlite: database is locked (5 writes waiting)"
    ]
    assert warnings[-1] == "the store works again"
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_nobody_waits_for_a_locked_database(home: Path, open_store: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY", 1.0)
    store = open_store()
    with closing(sqlite3.connect(file_of(home), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        for n in range(100):
            store.save_cooldown(cooldown(f"a/{n}"))
            store.put_state("k", {"n": n})
        assert time.monotonic() - started < 0.5
        eventually(lambda: store.healthy)
        # Known to be in trouble: not even the answer is waited for.
        assert store.save_cooldown(cooldown()).done()


def test_a_write_that_is_overtaken_on_its_way_is_answered(
    home: Path, open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY", 5.0)
    store = open_store()
    with closing(sqlite3.connect(file_of(home), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        older = store.save_cooldown(cooldown(strikes=1))
        time.sleep(0.2)  # now it waits inside SQLite
        newer = store.save_cooldown(cooldown(strikes=2))
        assert not older.done()
        other.execute("COMMIT")
    assert (older.result(30), newer.result(30)) == (True, True)
    assert store.cooldowns() == [cooldown(strikes=2)]
    # The thread lives.
    assert use(store) == [True, True]
    assert store.healthy is None


def test_locked_at_start(home: Path, open_store: Opener) -> None:
    filled(home)
    with closing(sqlite3.connect(file_of(home), isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        store = open_store()
        assert store.healthy is not None
        assert "locked" in store.healthy
        assert store.cooldowns() == []
        assert use(store) == [False, False]
        assert not store.changed()
    eventually(store.changed)  # the proxy reads the cooldowns now
    assert {row.name for row in store.cooldowns()} == {"a/0", "a/new"}
    eventually(lambda: works(store))


def test_recovery_is_noticed_without_a_write(home: Path, open_store: Opener) -> None:
    filled(home)
    with closing(sqlite3.connect(file_of(home), isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        store = open_store()
        assert store.healthy
    eventually(lambda: store.healthy is None)


READ_ONLY = """
import os, sys, time
from pathlib import Path
from mitm_balancer.store import CooldownRow, Store, writer
writer.RETRY_DELAY = 0.05
home = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
store = Store.open(home)
print(sorted(row.name for row in store.cooldowns()), store.account_flags())
store.put_state("k", {})
print(store.save_cooldown(CooldownRow("a/new", "", 2.0, 1.0, 1.0, "r")).result(30), store.healthy)
(home / "balancer.sqlite").chmod(0o600)
while store.healthy:
    time.sleep(0.01)
print(sorted(row.name for row in store.cooldowns()))
store.close()
"""


def test_read_only(home: Path) -> None:
    filled(home)
    file_of(home).chmod(0o400)
    if os.geteuid() == 0:  # root may write everything: the child becomes nobody
        for path in (home, *home.iterdir()):
            os.chown(path, 65534, 65534)
        for parent in home.parents:
            if parent.is_relative_to(tempfile.gettempdir()) and parent != Path(tempfile.gettempdir()):
                parent.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(Path(schema.__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    child = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(home)], capture_output=True, text=True, timeout=30, env=environment
    )
    assert child.stdout.splitlines() == [
        "['a/0'] {'a/0': {'paused': True}}",
        "False balancer.sqlite: attempt to write a readonly database (2 writes waiting)",
        "['a/0', 'a/new']",
    ], child.stderr


@pytest.fixture
def tiny_disk(home: Path) -> Iterator[Path]:
    """The home on a file system of 1 MiB."""
    home.mkdir(mode=0o700)
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(home)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a tmpfs is not allowed here; test_file_size_limit stands in")
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)  # lazily: a failed test leaves files open


def test_disk_full(tiny_disk: Path) -> None:
    store = Store.open(tiny_disk)
    assert store.save_cooldown(cooldown("a/before")).result(30)
    ballast = tiny_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(b"x" * 4096)
    for n in range(20):
        store.add_trace(f"r{n}", {"noise": "x" * 50_000})
    assert use(store) == [False, False]
    assert store.healthy
    assert "balancer.sqlite: " in store.healthy
    assert {row.name for row in store.cooldowns()} == {"a/before", "a/new"}
    with ballast.open("r+b") as file:
        file.truncate(0)
    for n in range(20):
        store.add_trace(f"r{n}", {"noise": ""})
    eventually(lambda: works(store))
    store.close()
    store = Store.open(tiny_disk)
    assert {row.name for row in store.cooldowns()} == {"a/before", "a/new"}
    assert store.healthy is None
    store.close()


def test_disk_full_at_start(tiny_disk: Path) -> None:
    ballast = tiny_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(b"x" * 4096)
    store = Store.open(tiny_disk)
    assert store.healthy
    assert use(store) == [False, False]
    ballast.unlink()
    eventually(lambda: works(store))
    assert {row.name for row in store.cooldowns()} == {"a/new"}
    store.close()


@pytest.mark.parametrize("companions", [False, True])
def test_read_only_file_system(tiny_disk: Path, companions: bool) -> None:
    store = Store.open(tiny_disk)
    assert store.save_cooldown(cooldown("a/before")).result(30)
    eventually((tiny_disk / "balancer.sqlite.bak").exists)
    if companions:  # as after a crash; the backup is complete, and nothing else is written
        with store._database.lock:
            keep = {path.name: path.read_bytes() for path in tiny_disk.iterdir()}
    store.close()
    store._writer._thread.join(30)  # a busy machine: `close` goes on after two seconds, and the files were still open
    for name, content in keep.items() if companions else ():
        (tiny_disk / name).touch(0o600)
        (tiny_disk / name).write_bytes(content)
    # Refused while anything has a file open for writing, be it a process that was just forked.
    eventually(lambda: not subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)]).returncode)
    try:
        store = Store.open(tiny_disk)
        assert [row.name for row in store.cooldowns()] == ["a/before"]
        assert use(store) == [False, False]
        assert store.healthy
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(tiny_disk)], check=True)
    eventually(lambda: works(store))
    assert {row.name for row in store.cooldowns()} == {"a/before", "a/new"}
    store.close()


def test_file_size_limit(home: Path, open_store: Opener) -> None:
    store = open_store()
    assert store.save_cooldown(cooldown("a/before")).result(30)
    eventually((home / "balancer.sqlite.bak").exists)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signalled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (home / "balancer.sqlite-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        for n in range(20):
            store.add_trace(f"r{n}", {"noise": "x" * 10_000})
        eventually(lambda: store.healthy)
        assert use(store) == [False, False]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, signalled)
    eventually(lambda: works(store))
    assert {row.name for row in store.cooldowns()} == {"a/before", "a/new"}


def damage_header(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 100)


def damage_traces(path: Path) -> None:
    """Spoil pages in the second half: there the traces are, not the small tables."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = pytest.mark.parametrize("damage", [damage_header, damage_traces, truncate, empty])


@DAMAGES
def test_damaged_with_a_backup(
    home: Path, open_store: Opener, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    filled(home)
    damage(file_of(home))
    damaged = file_of(home).read_bytes()
    store = open_store()
    assert store.healthy is None
    assert [row.name for row in store.cooldowns()] == ["a/0"]
    (aside,) = home.glob("balancer.sqlite.corrupt-*")
    assert aside.read_bytes() == damaged
    assert f"and is now {aside}; restored from the backup of 20" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
    assert use(store) == [True, True]
    for file in home.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


@DAMAGES
@pytest.mark.parametrize("backup", [damage_header, Path.unlink])
def test_damaged_without_a_sound_backup(
    home: Path,
    open_store: Opener,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    backup: Callable[[Path], None],
) -> None:
    filled(home)
    backup(home / "balancer.sqlite.bak")
    damage(file_of(home))
    store = open_store()
    assert store.healthy is None
    if damage is damage_traces:
        # The small tables could still be read.
        assert [row.name for row in store.cooldowns()] == ["a/0"]
        assert store.account_flags() == {"a/0": {"paused": True}}
    if damage is not empty or backup is damage_header:
        assert "there was no sound backup, so a fresh one was made" in caplog.text
    assert use(store) == [True, True]


def test_newer_rows_of_a_damaged_file_win_over_the_backup(home: Path, open_store: Opener) -> None:
    filled(home)
    store = Store.open(home)
    store.save_cooldown(cooldown("a/0", strikes=7))
    store.save_cooldown(cooldown("a/late")).result(30)
    store.close()
    damage_traces(file_of(home))
    assert {row.name: row.strikes for row in open_store().cooldowns()} == {"a/0": 7, "a/late": 1}


@pytest.mark.parametrize("first", ["read", "write", "changed"])
def test_damaged_while_running(home: Path, open_store: Opener, first: str) -> None:
    filled(home, rows=3)
    store = open_store()
    with closing(sqlite3.connect(file_of(home))) as other:  # no page of it is in the store's cache any more
        other.execute("DELETE FROM traces")
        other.commit()
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file_of(home).open("r+b") as file:
        file.write(b"\xff" * file_of(home).stat().st_size)
    if first == "read":
        store.cooldowns()
    elif first == "write":
        use(store)
    else:
        store.changed()
    use(store)
    eventually(lambda: works(store))
    assert {row.name for row in store.cooldowns()} == {"a/0", "a/1", "a/2", "a/new"}


def test_deleted_while_running(home: Path, open_store: Opener) -> None:
    store = open_store()
    use(store)
    with store._database.lock:  # a backup in the middle of it would put a file into the folder that is being removed
        shutil.rmtree(home)
    assert use(store) == [True, True]
    assert file_of(home).stat().st_mode & 0o777 == 0o600
    other = open_store()
    eventually(lambda: other.get_state("heartbeat") == {"at": 1})


def test_opened_to_others_while_running(home: Path, open_store: Opener) -> None:
    store = open_store()
    with store._database.lock:
        shutil.rmtree(home)
        home.mkdir(mode=0o755)
    assert use(store) == [False, False]
    assert store.healthy
    assert "chmod 700" in store.healthy
    home.chmod(0o700)
    eventually(lambda: works(store))


def test_what_the_operator_has_set_holds_while_the_database_cannot_be_read(home: Path, open_store: Opener) -> None:
    store = open_store()
    assert store.set_account_flag("a/b", "disabled", True).result(5)
    assert store.set_setting("balancing", False).result(5)
    assert store.account_flags() == {"a/b": {"disabled": True}}
    assert store.settings() == {"balancing": False}
    store.path.chmod(0o644)
    store._database.close()
    assert store.try_read("SELECT 1") is None
    assert store.account_flags() == {"a/b": {"disabled": True}}, "a disabled account must not come back"
    assert store.settings() == {"balancing": False}


def test_values_that_are_no_json_stop_nothing(home: Path, open_store: Opener) -> None:
    store = open_store()
    assert store.set_account_flag("a/b", "paused", True).result(5)
    assert store.set_setting("strategy", "drain").result(5)
    assert store.set_setting("balancing", False).result(5)
    with sqlite3.connect(file_of(home)) as other:
        other.execute("UPDATE account_flags SET value = '{oops'")
        other.execute("UPDATE settings SET value = '{oops' WHERE key = 'strategy'")
    assert store.settings() == {"balancing": False}
    assert store.account_flags() == {"a/b": {"paused": True}}, "it is set, whatever the value was"


def test_waiting_writes_are_bounded(
    home: Path, open_store: Opener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING", 50)
    store = open_store()
    with closing(sqlite3.connect(file_of(home), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        first = store.save_cooldown(cooldown("a/first"))
        for n in range(60):
            store.add_event("e", message=str(n))
        assert first.result(30) is False
        eventually(lambda: "50 writes waiting, 11 lost" in (store.healthy or ""))
    eventually(lambda: works(store))
    # The oldest that need not be durable went.
    assert [row.name for row in store.cooldowns()] == ["a/first"]
    eventually(lambda: [event.message for event in store.events()] == [str(n) for n in range(11, 60)])


def test_close_is_bounded_and_tells_what_is_lost(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY", 1.0)
    store = Store.open(home)
    with closing(sqlite3.connect(file_of(home), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.save_cooldown(cooldown())
        started = time.monotonic()
        store.close()
        assert time.monotonic() - started < 2.5
    assert "the store closes with 1 writes lost" in caplog.text


def test_the_backup_is_made_at_most_once_an_hour(
    home: Path, open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = home / "balancer.sqlite.bak"
    store = open_store()
    use(store)
    eventually(backup.exists)
    made = backup.stat().st_ino
    use(store)
    use(store)
    for kind in ("state", "trace", "event"):
        eventually(lambda kind=kind: not store._writer.pending(kind))
    time.sleep(0.1)  # the commit that wrote them may still look at the backup
    store._database._next_backup = 0.0
    use(store)
    time.sleep(0.1)
    assert backup.stat().st_ino == made
    hour_ago = time.time() - database.BACKUP_EVERY - 1
    os.utime(backup, (hour_ago, hour_ago))
    assert store.save_cooldown(cooldown("a/later")).result(30)
    eventually(lambda: backup.stat().st_ino != made)
    assert backup.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(backup)) as copy:
        repair.check(copy)
        assert ("a/later",) in copy.execute("SELECT name FROM cooldowns").fetchall()


def test_a_backup_that_fails_harms_nothing(home: Path, open_store: Opener, caplog: pytest.LogCaptureFixture) -> None:
    home.mkdir(mode=0o700)
    (home / "balancer.sqlite.bak.new").mkdir()
    store = open_store()
    for _ in range(3):
        assert use(store) == [True, True]
    eventually(lambda: "the rolling backup could not be made" in caplog.text)
    assert caplog.text.count("the rolling backup could not be made") == 1
    assert store.healthy is None


def test_an_unexpected_error_does_not_end_the_writer(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store()

    def broken(self: database.Database) -> sqlite3.Connection:
        raise RuntimeError("a bug of ours")

    with monkeypatch.context() as patch:
        patch.setattr(database.Database, "connection", broken)
        assert use(store) == [False, False]
        assert store.healthy is not None
        assert "a bug of ours" in store.healthy
    eventually(lambda: works(store))
    assert "the store's writer failed; it goes on" in caplog.text
