"""`python -m sim`: run seeds, print what came of them; `--seed N` repeats one. Exit 1 when a promise was broken."""

from __future__ import annotations

import argparse
import sys
import time

from sim.compare import PAGE, compare, markdown, page
from sim.profiles import PROFILES
from sim.report import table
from sim.run import Failed, simulate_all
from sim.scenarios import SCENARIOS
from sim.strategies import STRATEGIES

SEEDS = 200


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many, from 0 ({SEEDS})")
    parser.add_argument("--first", type=int, default=0, help="the first one (0)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="", help="all seeds in this one")
    parser.add_argument("--strategy", choices=[*STRATEGIES, "all"], default="priority")
    parser.add_argument("--strategies", action="store_true", help=f"compare them, and write {PAGE.name}")
    parser.add_argument("--days", type=float, help="virtual days before the faults stop")
    return parser.parse_args()


def strategies() -> int:
    """The comparison: on the page, and here."""
    began = time.perf_counter()
    tables = compare()
    PAGE.write_text(page(tables))
    for name, found in tables.items():
        print(f"{PROFILES[name].title}\n{markdown(found)}\n")
    print(f"{PAGE.name} is written, {time.perf_counter() - began:.0f} s")
    return 0


def main() -> int:
    args = arguments()
    if args.strategies:
        return strategies()
    seeds = range(args.first, args.first + args.seeds) if args.seed is None else range(args.seed, args.seed + 1)
    began = time.perf_counter()
    steps = 0
    for strategy in STRATEGIES if args.strategy == "all" else (args.strategy,):
        try:
            numbers = simulate_all(seeds, strategy, scenario=args.scenario, days=args.days)
        except Failed as failed:
            print(failed)
            return 1
        print(f"strategy {strategy}, seeds {seeds.start} to {seeds.stop - 1}")
        print(table(numbers))
        steps += sum(n.steps for n in numbers.values())
    seconds = time.perf_counter() - began
    print(f"every promise held over {steps} steps, {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
