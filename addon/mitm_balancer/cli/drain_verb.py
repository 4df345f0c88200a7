"""`balancer drain TARGET` lets what runs on an account finish, and its sessions go on; nothing new begins there."""

from __future__ import annotations

import argparse

from mitm_balancer import operations
from mitm_balancer.cli.board import operate, target_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    target_arguments(parser)


def main(args: argparse.Namespace) -> int:
    return operate(args, lambda board: operations.set_state(board, "drain", args.target))
