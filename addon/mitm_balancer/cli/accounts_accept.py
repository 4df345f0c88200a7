"""`balancer accounts accept ID`: make an account of a captured credential."""

from __future__ import annotations

import argparse
import sys

from mitm_balancer.accounts.alias import normalized
from mitm_balancer.accounts.importing.naming import propose
from mitm_balancer.accounts.model import AccountError, Pending
from mitm_balancer.accounts.sameness import known_identity
from mitm_balancer.cli.accounts_pending import rotates
from mitm_balancer.cli.choosing import can_ask, choose
from mitm_balancer.cli.desk import Desk, desk
from mitm_balancer.cli.output import CliError, own_command, print_json

_SHARES = {
    "a": "access token only: the agent keeps its login, and the account goes along when the agent renews it "
    "through the proxy",
    "c": "copy: both have it. Right when the agent forgets it, because you log in there as somebody else; otherwise "
    "whoever renews it second is refused",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="as `balancer accounts pending` lists it")
    parser.add_argument("--alias", help="what to call it; default: by its e-mail")
    share = parser.add_mutually_exclusive_group()
    share.add_argument("--access-only", action="store_true", help="leave the refresh token to the agent (default)")
    share.add_argument("--copy", action="store_true", help="take the refresh token, too")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args) as at:
        pending = _find(at, args.id)
        alias = normalized(args.alias) if args.alias else _alias(at, pending)
        taken = {account.name for account in at.book.all()} | {spec.name for spec in at.config.accounts}
        if f"{pending.provider}/{alias}" in taken:
            raise CliError(f"Account already exists: {pending.provider}/{alias}")
        access_only = rotates(pending) and not _whole(args)
        saved = at.book.accept(pending.id, alias, access_only=access_only)
        at.told()
    if args.json:
        print_json({"account": saved.name, "kind": saved.kind, "access_only": access_only})
        return 0
    print(f"{saved.name} is stored" + (", with its access token only" if access_only else ""))
    if access_only:
        print("  its agent keeps the login: run it through the proxy, and the account goes along")
    return 0


def _find(at: Desk, id: str) -> Pending:
    for pending in at.book.pending():
        if pending.id == id:
            return pending
    raise AccountError(f"nothing is pending under {id} ({own_command()} accounts pending shows what is)")


def _alias(at: Desk, pending: Pending) -> str | None:
    if pending.credential is None:
        return None
    names = [account.name for account in at.book.all()] + [spec.name for spec in at.config.accounts]
    taken = {name.partition("/")[2] for name in names if name.startswith(f"{pending.provider}/")}
    identity = known_identity(pending.provider, pending.credential)
    return propose(identity, "captured", taken) or None


def _whole(args: argparse.Namespace) -> bool:
    if args.copy or args.access_only or args.yes or not can_ask():
        return bool(args.copy)
    print("Its refresh token is good for one use, and its agent has it as well.", file=sys.stderr)
    return choose(" ", _SHARES, "a") == "c"
