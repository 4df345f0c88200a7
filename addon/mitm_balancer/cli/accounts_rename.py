"""`balancer accounts rename NAME ALIAS`: another alias; what hangs on the name follows."""

from __future__ import annotations

import argparse

from mitm_balancer.accounts.alias import normalized
from mitm_balancer.accounts.roster import place
from mitm_balancer.cli.desk import desk
from mitm_balancer.cli.output import CliError, print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a stored account")
    parser.add_argument("alias", metavar="ALIAS", help="what it shall be called; a-z 0-9 . _ -")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args) as at:
        old = at.stored(args.name, "rename")
        wanted = f"{old.provider}/{normalized(args.alias)}"
        declared = {spec.name: spec for spec in at.config.accounts}
        if wanted in declared and wanted != old.name:
            raise CliError(f"Account already exists: {wanted} ({place(declared[wanted], at.config)})")
        new = at.book.rename(old.name, args.alias)
        told = at.told()
    if args.json:
        print_json({"before": old.name, "account": new.name})
    else:
        print(f"{old.name} is {new.name} now; its cooldowns, usage and sessions went along")
        print(told)
    return 0
