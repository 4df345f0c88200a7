"""`balancer accounts restore FILE`: store what `balancer accounts export` wrote, on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mitm_balancer.accounts import portable
from mitm_balancer.accounts.portable import Moved
from mitm_balancer.cli.asking import confirm
from mitm_balancer.cli.desk import Desk, desk
from mitm_balancer.cli.output import CliError, print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what export wrote; - is stdin")
    parser.add_argument("--yes", action="store_true", help="do not ask, and replace accounts of the same name")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    text = _text(args.file)
    with desk(args, make=True) as at:
        moved = portable.read(text)
        for account in moved:
            at.provider(account.provider)
        confirm(f"Store {', '.join(f'{a.provider}/{a.alias}' for a in moved) or 'nothing'}?", yes=args.yes)
        results = {f"{a.provider}/{a.alias}": _store(at, a, replace=args.yes) for a in moved}
        told = at.told()
    if args.json:
        print_json({"accounts": results})
    else:
        for name, result in results.items():
            print(f"{name}: {result}")
        print(told)
    return 0 if all("left" not in result for result in results.values()) else 1


def _store(at: Desk, account: Moved, *, replace: bool) -> str:
    """What was done with it."""
    name = f"{account.provider}/{account.alias}"
    if any(spec.name == name for spec in at.config.accounts):
        return "left out: the configuration declares an account of that name"
    known = at.book.same(account.provider, account.credential)
    if known is None and not replace and at.book.find(name) is not None:
        return "left out: another account has that name (--yes replaces it)"
    saved = at.book.save(account.provider, account.alias, account.credential, account.source, account.settings)
    return "stored" if known is None else f"was there as {saved.name}, and is stored anew"


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CliError(f"{file} cannot be read: {reason}") from None
