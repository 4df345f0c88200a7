"""What the CLI learns from the store: the SQLite file is the bus between it and a running proxy (contract)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitm_balancer.cli.cabundle import CA_NAME
from mitm_balancer.cli.output import CliError
from mitm_balancer.files import replace
from mitm_balancer.store import Store, StoreError

DATABASE = "balancer.sqlite"

NOTE = "proxy.json"

FRESH = 15.0
"""Seconds: three of the proxy's heartbeats."""

CONNECT_TIMEOUT = 1.0
"""Seconds for a connection to a port of this machine."""

ANY_HOST = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where to reach a proxy that listens everywhere."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy, as an agent reaches it."""

    pid: int
    host: str
    port: int
    ca: Path
    user: str = ""
    """What it is told of a run, as the user name of its URL."""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        # Some clients send nothing at all without a password.
        return f"http://{f'{self.user}:pinned@' if self.user else ''}{host}:{self.port}"


@contextlib.contextmanager
def opened(home: Path, *, make: bool = False) -> Iterator[Store | None]:
    """The store of a home; None when there is none yet and it is not to be made. CliError when it is unusable."""
    if not make and not (home / DATABASE).exists():
        yield None
        return
    try:
        store = Store.open(home)
    except StoreError as e:
        raise CliError(str(e)) from e
    try:
        yield store
    finally:
        store.close()


def running(home: Path) -> Proxy | None:
    """The proxy that works with this home, if it is alive and accepts connections."""
    return alive(proxy_from(_note(home), home)) or alive(proxy_from(proxy_state(home), home))


def seen(home: Path, store: Store | None) -> Proxy | None:
    """The same for those who look often: a fresh heartbeat is believed, so nobody knocks at the proxy's port."""
    state = (store.get_state("proxy") if store is not None else None) or {}
    proxy, beat = proxy_from(state, home), state.get("beat")
    fresh = isinstance(beat, int | float) and abs(time.time() - beat) < FRESH
    return proxy if proxy is not None and fresh and _exists(proxy.pid) else running(home)


def proxy_state(home: Path) -> dict[str, Any]:
    """What the newest proxy of this home left in the store; empty without one."""
    with opened(home) as store:
        return (store.get_state("proxy") if store is not None else None) or {}


def leave_note(proxy: Proxy, home: Path) -> None:
    """Say at once where a proxy listens, for the half second until its row is in the store, and for want of a store."""
    text = json.dumps({"pid": proxy.pid, "host": proxy.host, "port": proxy.port})
    with contextlib.suppress(OSError):  # a full disk does not keep a proxy from serving (P9)
        replace(home / NOTE, text.encode())


def _note(home: Path) -> dict[str, Any]:
    try:
        found = json.loads((home / NOTE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def proxy_from(state: dict[str, Any], home: Path) -> Proxy | None:
    """The proxy that a state row tells of; None for an empty row, which a proxy leaves when it stops."""
    pid, port = state.get("pid"), state.get("port")
    if not isinstance(pid, int) or not isinstance(port, int) or not port:
        return None
    host = str(state.get("host") or "")
    return Proxy(pid, ANY_HOST.get(host, host), port, Path(state.get("ca") or home / CA_NAME))


def alive(proxy: Proxy | None) -> Proxy | None:
    """The proxy if its process exists and its port accepts connections: after a crash the row is still there."""
    if proxy is None or not _exists(proxy.pid):
        return None
    try:
        socket.create_connection((proxy.host, proxy.port), CONNECT_TIMEOUT).close()
    except OSError:
        return None
    return proxy


def _exists(pid: int) -> bool:
    if os.name == "nt":
        return True  # os.kill(pid, 0) would end it there; the port decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
