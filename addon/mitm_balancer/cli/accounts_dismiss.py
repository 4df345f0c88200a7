"""`balancer accounts dismiss ID`: forget a captured credential. Only a keyed fingerprint stays, to know it again."""

from __future__ import annotations

import argparse

from mitm_balancer.cli.desk import desk
from mitm_balancer.cli.output import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="+", help="as `balancer accounts pending` lists it")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args) as at:
        for id in args.id:
            at.book.dismiss(id)
    if args.json:
        print_json({"dismissed": args.id})
    else:
        print(f"{', '.join(args.id)}: forgotten, and not asked about again")
    return 0
