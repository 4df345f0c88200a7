"""`balancer accounts disable NAME`: keep an account, but give it no work, over restarts too."""

from __future__ import annotations

import argparse

from mitm_balancer import operations
from mitm_balancer.cli.board import operate, target_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    target_arguments(parser)


def main(args: argparse.Namespace) -> int:
    return operate(args, lambda board: operations.set_state(board, "disable", args.target))
