"""`balancer accounts export`: stored credentials in the clear, for a move to another machine. Asks first."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mitm_balancer.accounts import portable
from mitm_balancer.cli.asking import confirm
from mitm_balancer.cli.desk import desk
from mitm_balancer.cli.output import CliError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="stored accounts; default: all")
    parser.add_argument("--output", "-o", metavar="FILE", help="a new file, mode 0600; default: stdout")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="it is JSON in any case")


def main(args: argparse.Namespace) -> int:
    with desk(args) as at:
        accounts = [at.stored(name, "export") for name in args.names] or at.book.all()
    sound = [account for account in accounts if account.credential is not None]
    if not sound:
        raise CliError("there is no stored account that could be exported")
    where = f"into {args.output}" if args.output else "to stdout"
    logins = sum(1 for a in sound if a.credential is not None and a.credential.refresh is not None)
    rotating = f" {logins} can be renewed: used on two machines, each would end the other's login." if logins else ""
    names = ", ".join(account.name for account in sound)
    confirm(
        f"This writes the credentials of {names} {where}, readable to whoever has it.{rotating} Go on?", yes=args.yes
    )
    text = portable.write(sound)
    if args.output:
        _write(Path(args.output), text)
    else:
        print(text, end="")
    for account in accounts:
        if account.credential is None:
            print(f"balancer: left out: {account.name}, {account.problem}", file=sys.stderr)
    return 0


def _write(path: Path, text: str) -> None:
    """Into a file that did not exist, private from its first moment on."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise CliError(f"{path} exists: name a new file") from None
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
