"""What a decision of the priority module costs: `python -m bench.decisions`.

Microseconds per request (select, taken, a good end recorded) in the steady state, per strategy and number of
accounts; every tenth account is cooling. The last column is a pool of which only one account is left.
"""

from __future__ import annotations

import random
import time

from mitm_balancer.core.health import Health
from mitm_balancer.core.priority import Circumstances, Priority
from mitm_balancer.core.strategies import BY_NAME
from mitm_balancer.core.target import TargetInfo
from mitm_balancer.core.verdict import SUCCESS, Outcome, Scope, Verdict

SIZES = (3, 100, 10_000)
ROUNDS = 3000
LIMITED = Outcome(Verdict.RATE_LIMITED, "limit", Scope.ACCOUNT, 1e6, redispatch=True)


def measure(strategy: str, size: int, *, cooling: float = 0.1) -> float:
    """Median of five runs, microseconds."""
    priority = Priority([TargetInfo(f"p/a{n}", "p") for n in range(size)], strategy, Circumstances())
    health = Health(random.Random(1))
    for target in priority.targets[: int(size * cooling)]:
        health.record(target.name, "m", LIMITED, 0.0)
    priority.select("m", health, 1.0)
    return sorted(_run(priority, health) for _ in range(5))[2]


def _run(priority: Priority, health: Health) -> float:
    begun = time.perf_counter()
    for n in range(ROUNDS):
        now = 2.0 + n / 1000
        chosen = priority.select("m", health, now).chosen
        assert chosen is not None
        priority.taken(chosen.name)
        priority.around.known.vitals.ended(chosen.name, "m", SUCCESS, 0.5, now)
        health.record(chosen.name, "m", SUCCESS, now)
        priority.served(chosen.name, "m", health, now)
    return (time.perf_counter() - begun) / ROUNDS * 1e6


def main() -> None:
    print(f"{'microseconds a decision':24}" + "".join(f"{size:>10,}" for size in SIZES) + f"{'one left':>12}")
    for name in BY_NAME:
        row = [measure(name, size) for size in SIZES]
        row.append(measure(name, SIZES[-1], cooling=1 - 1 / SIZES[-1]))
        print(f"{name:24}" + "".join(f"{value:>10.1f}" for value in row[:-1]) + f"{row[-1]:>12.1f}")


if __name__ == "__main__":
    main()
