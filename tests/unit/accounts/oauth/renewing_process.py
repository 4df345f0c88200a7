"""A process of its own that renews: `python renewing_process.py HOME [KILL]`, driven by lines on stdin.

`read` reads the account and tells its generation; `renew` renews what was read and tells what came of it. KILL is
`before:N` or `after:N`: the process kills itself around its N-th write to the store.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.oauth.outcome import Fresh
from mitm_balancer.accounts.oauth.refresher import Refresher
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.store import Store
from mitm_balancer.upstream.pool import Pool

NAME = "anthropic/work"


def fatal(store: Store, kill: str) -> None:
    """Let the N-th transaction be the last one."""
    when, _, number = kill.partition(":")
    writes = 0
    real = store.transact

    def transact(work: Any) -> Any:
        nonlocal writes
        writes += 1
        if when == "before" and writes == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(work)
        if when == "after" and writes == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    store.transact = transact  # type: ignore[method-assign]


async def main(home: Path, kill: str) -> None:
    store = Store.open(home)
    book, pool, passed = AccountBook(store, Vault.open(home)), Pool(), 0.0

    async def heard() -> None:
        pass

    refresher = Refresher(
        book, store, pool, home, spawn, heard,
        wall=lambda: time.time() + passed, clock=lambda: time.monotonic() + passed,
    )  # fmt: skip
    account: StoredAccount | None = None
    if kill:
        fatal(store, kill)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line == "read\n":
            account = book.find(NAME)
            assert account is not None
            print(account.generation, flush=True)
        else:
            assert account is not None
            done = await refresher.renew(account)
            passed += 100.0
            if isinstance(done, Fresh):
                print(f"fresh {done.account.generation} {'ours' if done.ours else 'theirs'}", flush=True)
            else:
                print(f"{type(done).__name__} {done.reason}", flush=True)
    await pool.aclose()
    store.close()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
