"""`balancer accounts enable NAME`: let an account serve again."""

from __future__ import annotations

import argparse

from mitm_balancer.accounts.roster import place
from mitm_balancer.cli.desk import desk
from mitm_balancer.cli.output import CliError, print_json

FLAG = "disabled"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="an account, stored or declared")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args, make=True) as at:
        spec = at.spec(args.name)
        if not spec.enabled:
            raise CliError(f"{spec.name} is declared with enabled: false in {place(spec, at.config)}: change it there")
        at.durable(at.store.set_account_flag(spec.name, FLAG, None))
        flags = at.store.account_flags().get(spec.name, {})
        told = at.told()
    still = next((word for word in ("paused", "drained") if flags.get(word)), None)
    if args.json:
        print_json({"account": spec.name, "enabled": True, "state": still})
    else:
        print(f"{spec.name} is enabled{f'; it is still {still}: balancer resume {spec.name}' if still else ''}")
        print(told)
    return 0
