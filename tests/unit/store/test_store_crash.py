"""P8: SIGKILL after the n-th durable write loses none of those that were acknowledged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mitm_balancer
from mitm_balancer.store import Store

PACKAGES = Path(mitm_balancer.__file__).parents[1]

WRITING = """
import sys, time
from pathlib import Path
from mitm_balancer.store import CooldownRow, Store
store = Store.open(Path(sys.argv[1]))
for n in range(10_000):
    store.add_trace(str(n), {"noise": "x" * 200})
    row = CooldownRow(f"a/{n}", "", 2000.0, 1000.0, 1000.0, "r", n)
    assert store.save_cooldown(row).result(5)
    print(n, flush=True)
"""


@pytest.mark.parametrize("kill_after", [1, 2, 3, 5, 17, 120])
def test_acknowledged_writes_survive(home: Path, kill_after: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITING, str(home)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        for _ in range(kill_after):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        # What it said before the signal reached it counts as well.
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
    assert process.returncode == -signal.SIGKILL
    store = Store.open(home)
    assert {row.name for row in store.cooldowns()} >= {f"a/{n}" for n in range(acknowledged + 1)}
    assert store.healthy is None
    store.close()
    assert not list(home.glob("*.corrupt*"))
