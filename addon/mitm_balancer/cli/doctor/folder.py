"""The home: private, writable, with room; and the store and the vault in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import time
from pathlib import Path
from urllib.parse import quote

from mitm_balancer.accounts import vaultkey
from mitm_balancer.accounts.vault import Vault, VaultError
from mitm_balancer.cli.doctor.model import Bench, Finding, Findings, fail, ok, warn
from mitm_balancer.store.home import DATABASE, family
from mitm_balancer.store.schema import MIGRATIONS

ROOM = 50 * 2**20
"""Bytes of free disk below which it is told."""

AHEAD = 60.0
"""Seconds by which a stored time may lie in the future: two clocks of one machine do not differ more."""


def home(bench: Bench) -> Findings:
    """The folder and the modes of what lies in it."""
    folder = bench.home
    if not folder.exists():
        yield ok("home", f"{folder} does not exist yet: the first start makes it")
        return
    open_ones = [path for path in (folder, *_private(folder)) if path.exists() and _is_open(path)]
    for path in open_ones:
        mode = "700" if path == folder else "600"
        found = stat.S_IMODE(path.stat().st_mode)
        yield fail("home", f"others can read {path} ({found:04o}), which holds keys or tokens", f"chmod {mode} {path}")
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid() != 0:
        yield fail("home", f"{folder} belongs to another user", "use a home of your own: --home or $BALANCER_HOME")
    elif not os.access(folder, os.W_OK):
        yield fail("home", f"{folder} cannot be written", f"chmod 700 {folder}")
    elif (room := shutil.disk_usage(folder).free) < ROOM:
        text = f"{folder} has {room // 2**20} MB of room: the store stops writing when it is full"
        yield warn("home", text, "free some disk space")
    elif not open_ones:
        yield ok("home", f"{folder}, private")


def _private(folder: Path) -> list[Path]:
    names = [*family(folder / DATABASE), folder / f"{DATABASE}.bak", vaultkey.path(folder), folder / "mitmproxy-ca.pem"]
    return [*names, folder / "proxy.log"]


def _is_open(path: Path) -> bool:
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


def store(bench: Bench) -> Findings:
    """The database, looked at without opening it for writing: a look must not repair, migrate or lock anything."""
    path = bench.home / DATABASE
    if not path.exists():
        yield ok("store", "none yet")
        return
    if (damage := damage_of(bench.home)) is not None:
        cure = f"stop the proxy; the next start puts the file aside and restores {path.name}.bak"
        yield fail("store", f"{path}: {damage}", cure)
        return
    with contextlib.closing(_looked_at(path)) as connection:
        yield _tables(connection, path)
        yield from _clock(connection)


def damage_of(home: Path) -> str | None:
    """What is wrong with the database of a home; None: nothing, or there is none. Opening it would repair it."""
    path = home / DATABASE
    if not path.exists():
        return None
    try:
        with contextlib.closing(_looked_at(path)) as connection:
            (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            connection.execute("SELECT count(*) FROM migrations").fetchone()
    except sqlite3.Error as e:
        return str(e)
    return None if result == "ok" else str(result)


def _looked_at(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=2.0)


def _tables(connection: sqlite3.Connection, path: Path) -> Finding:
    applied = {name for (name,) in connection.execute("SELECT name FROM migrations")}
    known = {step.__name__ for step in MIGRATIONS}
    if unknown := applied - known:
        cure = "use the newest balancer of those that you have with this home"
        return warn("store", f"a newer balancer has changed it ({', '.join(sorted(unknown))})", cure)
    if known - applied:
        return ok("store", "sound; the next start brings its tables up to date")
    size = sum(file.stat().st_size for file in family(path) if file.exists())
    return ok("store", f"sound, {size / 2**20:.1f} MB")


def _clock(connection: sqlite3.Connection) -> Findings:
    """What is stored is never from the future, unless the clock was set back."""
    newest = [
        found
        for table, column in (("state", "at"), ("cooldowns", "observed_at"), ("events", "at"))
        for (found,) in connection.execute(f"SELECT max({column}) FROM {table}")  # noqa: S608 - our own names
        if found is not None
    ]
    ahead = max(newest, default=0.0) - time.time()
    if ahead > AHEAD:
        text = f"this machine's clock was {ahead:.0f} s ahead, or is behind now: cooldowns last as long as they did"
        yield warn("clock", text, "set the clock (timedatectl, sntp)")


def vault(bench: Bench) -> Findings:
    """Whether what is sealed can be opened."""
    sealed = [account for account in bench.stored if account.credential is not None or account.problem]
    if not vaultkey.path(bench.home).exists() and not sealed:
        yield ok("vault", "no account is stored; the first one makes its key")
        return
    try:
        Vault.open(bench.home).unlocked()
    except VaultError as e:
        told, _, cure = str(e).partition(": ")
        level = fail if sealed else warn
        yield level("vault", told, cure or "balancer accounts add puts accounts in again")
        return
    bad = [account for account in sealed if account.problem]
    for account in bad:
        yield _bad_row(account.name, account.problem)
    if not bad:
        yield ok("vault", f"{len(sealed)} stored account{'' if len(sealed) == 1 else 's'}, all readable")


def _bad_row(name: str, problem: str) -> Finding:
    told, _, cure = problem.partition(": ")
    return warn("vault", f"{name}: {told}", cure or f"balancer accounts remove {name}, and add it again")
