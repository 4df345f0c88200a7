"""`balancer accounts remove NAME`: forget a stored account."""

from __future__ import annotations

import argparse

from mitm_balancer.cli.asking import confirm
from mitm_balancer.cli.desk import desk
from mitm_balancer.cli.output import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a stored account")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args) as at:
        account = at.stored(args.name, "remove")
        confirm(f"Forget {account.name} and its credential? The provider is not told.", yes=args.yes)
        heir = at.book.remove(account.name, at.order(account.provider))
        told = at.told()
    if args.json:
        print_json({"removed": account.name, "used": heir})
    else:
        print(f"{account.name} is forgotten{f'; {heir} is used now' if heir else ''}")
        print(told)
    return 0
