"""`balancer accounts use NAME`: new sessions of its provider go to this account."""

from __future__ import annotations

import argparse

from mitm_balancer.cli.desk import desk
from mitm_balancer.cli.output import print_json
from mitm_balancer.core.strategies import BY_NAME, Known


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="provider/alias, or an alias that only one account has")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args, make=True) as at:
        spec = at.spec(args.name)
        at.book.activate(spec.provider, spec.name)
        flags = at.store.account_flags().get(spec.name, {})
        off = next((word for word in ("disabled", "paused", "drained") if flags.get(word)), None)
        off = off or (None if spec.enabled else "disabled")
        strategy = at.roster.priority.strategy
        told = at.told()
    spreads = BY_NAME[strategy]((), Known()).spreads
    if args.json:
        print_json({"provider": spec.provider, "account": spec.name, "state": off, "spread": spreads})
        return 0
    print(f"{spec.name} is used from now on; sessions that are under way stay where they are")
    print(told)
    if off is not None:
        print(f"but it is {off}, so another one serves: balancer accounts enable {spec.name}, or balancer resume")
    if spreads:
        print(f"but the strategy is {strategy}, which spreads sessions over all accounts")
    return 0
