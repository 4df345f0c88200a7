"""A home with something in every table, made by the code itself; run as a program, it prints the next schema fixture.

    PYTHONPATH=addon:tests/unit/store python tests/unit/store/everything.py > tests/unit/store/schema_mNNN.sql

NNN: the number of the newest migration. A fixture that is there is never changed again.
"""

from __future__ import annotations

import base64
import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountSettings, Credential
from mitm_balancer.accounts.oauth.services import SERVICES
from mitm_balancer.accounts.oauth.uses import SPENT, Uses
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.secrets import Secret
from mitm_balancer.store import CooldownRow, Store, UsageRow, WindowRow, asks, schema, snapshots

FAR = 32503680000.0
"""The year 3000: what is older than a year or a month is swept away."""

WORK = "anthropic/work"
LOGIN = Credential(
    "oauth",
    Secret("sk-ant-oat01-OF-A-TEST-access"),
    Secret("sk-ant-ort01-OF-A-TEST-refresh"),
    FAR,
    {"account_uuid": "uuid-1", "email": "ann@example.com"},
    {"scope": "user:inference"},
)
KEY = Credential("api", Secret("sk-ant-api03-OF-A-TEST-key"))
SEEN = Credential("api", Secret("sk-ant-api03-OF-A-TEST-seen"))
DISMISSED = Credential("api", Secret("sk-ant-api03-OF-A-TEST-dismissed"))
SETTINGS = AccountSettings(priority=2, models=("claude-*",))


def lay_key(home: Path) -> None:
    """The vault's key of every fixture."""
    (home / "key").touch(mode=0o600)
    (home / "key").write_text(f"mitm-balancer-key-1 file {base64.b64encode(bytes(range(32))).decode()}\n")


def fill(home: Path) -> None:
    """Something in every table of a home that is not there yet."""
    os.environ["BALANCER_VAULT"] = "file"
    home.mkdir(mode=0o700)
    lay_key(home)
    with closing(Store.open(home)) as store:
        book = AccountBook(store, Vault.open(home))
        book.save("anthropic", "work", LOGIN, "login", SETTINGS, activate=True)
        book.save("anthropic", "spare", KEY, "add")
        assert book.capture("anthropic", DISMISSED, "capture")
        book.dismiss(book.pending()[0].id)
        assert book.capture("anthropic", SEEN, "capture")
        assert LOGIN.refresh is not None
        Uses(store).dead(SERVICES["anthropic"], LOGIN.refresh, WORK, SPENT, 1000.0)
        asks.reply(store, asks.ask(store, "clear", {"names": [WORK], "model": None}), {"cleared": [WORK]})
        certain = [
            store.save_cooldown(CooldownRow(WORK, "claude-x", 2000.0, 1000.0, 1000.0, "rate_limit", 2)),
            store.set_account_flag(WORK, "paused", True),
            store.set_setting("balancing", False),
            snapshots.save(store, snapshots.SnapshotRow(WORK, FAR, "exact", "max", next_at=FAR, amounts='[{"a": 1}]')),
        ]
        store.put_state("proxy", {"pid": 1})
        store.add_trace("aaaabbbbcccc", {"account": WORK})
        store.add_event("failover_performed", WORK, "told", {"previous": WORK}, origin="proxy", at=1000.0)
        store.add_usage([UsageRow("2999-01-01", WORK, "claude-x", answers=1, input=10, output=20)])
        store.save_windows([WindowRow(WORK, "5h", FAR, used_percent=50.0, minutes=300, source="poll")])
        store.save_owner("fingerprint-of-an-id", WORK, 1000.0)
        store.save_binding("fingerprint-of-a-session", WORK, 1000.0)
        assert all(future.result(30) for future in certain)


def dump(path: Path) -> list[str]:
    """The database as SQL, statement by statement."""
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "home")
        sys.stdout.write(f"-- A database as {schema.MIGRATIONS[-1].__name__} left it; never changed again.\n")
        sys.stdout.write("\n".join(dump(Path(folder) / "home" / "balancer.sqlite")) + "\n")
