"""`balancer clear TARGET` forgets cooldowns and breakers: what is out is tried again now."""

from __future__ import annotations

import argparse

from mitm_balancer import operations
from mitm_balancer.cli.board import operate, target_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    target_arguments(parser)
    parser.add_argument("--model", metavar="MODEL", help="only the cooldown of this model")


def main(args: argparse.Namespace) -> int:
    return operate(args, lambda board: operations.clear(board, args.target, args.model or None))
