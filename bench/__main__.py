"""`python -m bench`: run the cases, print ratios, exit 1 when a bar is missed and 2 when the bench could not run."""

from __future__ import annotations

import argparse
import sys

from bench import cases, proc, report, runner
from bench.profile import profile

ROUNDS, QUICK_ROUNDS = 5, 2


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("case", nargs="*", choices=[*cases.BY_NAME, []], help="cases to run (all)")
    parser.add_argument("--variants", default="abcd", help="letters of the variants to run (abcd)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"measured rounds ({ROUNDS})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds: a look, not a measurement")
    parser.add_argument("--profile", choices="bcd", help="run the case under cProfile in this variant, print the costs")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    chosen = [cases.BY_NAME[name] for name in args.case] or list(cases.CASES)
    try:
        if args.profile:
            profile(chosen[0], args.profile)
            return 0
        rounds = QUICK_ROUNDS if args.quick else args.rounds
        judged = [
            line
            for case in chosen
            for line in report.show(runner.run_case(case, rounds, args.variants, lambda t: print(t, file=sys.stderr)))
        ]
    except proc.BenchError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
    return int(any(line.passed is False for line in judged))


if __name__ == "__main__":
    sys.exit(main())
