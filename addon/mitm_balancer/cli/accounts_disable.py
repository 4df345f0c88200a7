"""`balancer accounts disable NAME`: keep an account, but give it no work. It lasts until `enable`, over restarts too."""

from __future__ import annotations

import argparse

from mitm_balancer.cli.accounts_enable import FLAG
from mitm_balancer.cli.desk import desk
from mitm_balancer.cli.output import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="an account, stored or declared")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args, make=True) as at:
        spec = at.spec(args.name)
        at.durable(at.store.set_account_flag(spec.name, FLAG, True))
        left = at.order(spec.provider)
    if args.json:
        print_json({"account": spec.name, "enabled": False, "left": left})
        return 0
    print(f"{spec.name} is disabled; what runs on it goes on to its end")
    if not left:
        print(f"no account of {spec.provider} is left: its agents speak with their own credentials")
    return 0
