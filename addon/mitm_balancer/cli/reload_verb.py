"""`balancer reload`: the running proxy reads its configuration again, and says what it found.

A running proxy sees a changed file by itself within a second; this waits for the answer. Accounts that were benched
because their credential was refused are tried again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mitm_balancer.cli.board import Line
from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.output import CliError, complain, print_json
from mitm_balancer.cli.places import config_of, expected_config, home_of
from mitm_balancer.store import StoreError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    home = home_of(args)
    with opened(home) as store:
        line = Line(store, home) if store is not None else None
        if line is None or line.proxy is None:
            return _without_proxy(args, home)
        try:
            answer = line.tell("reload", {})
        except StoreError as e:
            raise CliError(str(e)) from e
        if line.silent:
            raise CliError(f"the proxy (pid {line.proxy.pid}) has not answered; its log says more")
    problems = [str(problem) for problem in answer.get("problems") or ()]
    accounts = int(answer.get("accounts") or 0)
    return _tell(args, problems, accounts, "obeyed", f"the proxy (pid {line.proxy.pid}) has read its configuration")


def _without_proxy(args: argparse.Namespace, home: Path) -> int:
    """Nobody to tell: at least say whether the next one could read it."""
    config = config_of(args, home)
    where = config.source or f"{expected_config(args, home)}, which does not exist"
    return _tell(args, [], len(config.accounts), "none", f"no proxy runs; the next one reads {where}")


def _tell(args: argparse.Namespace, problems: list[str], accounts: int, proxy: str, text: str) -> int:
    if args.json:
        print_json({"verb": "reload", "problems": problems, "accounts": accounts, "proxy": proxy})
    elif problems:
        complain("the configuration is not usable, the running one stays:\n" + "\n".join(f"  {p}" for p in problems))
    else:
        print(f"{text}: {accounts} account{'' if accounts == 1 else 's'}")
    return 1 if problems else 0
