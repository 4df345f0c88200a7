"""`balancer pause TARGET` gives an account or a provider no new work, until it is resumed."""

from __future__ import annotations

import argparse

from mitm_balancer import operations
from mitm_balancer.cli.board import operate, target_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    target_arguments(parser)


def main(args: argparse.Namespace) -> int:
    return operate(args, lambda board: operations.set_state(board, "pause", args.target))
