"""`balancer on` switches balancing on."""

from __future__ import annotations

import argparse

from mitm_balancer import operations
from mitm_balancer.cli.board import operate


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    return operate(args, lambda board: operations.switch(board, on=True))
