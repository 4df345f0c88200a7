"""`balancer accounts pending`: captured credentials that wait for a decision."""

from __future__ import annotations

import argparse
import time
from typing import Any

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import Pending
from mitm_balancer.accounts.oauth.services import ROTATING
from mitm_balancer.accounts.sameness import known_identity
from mitm_balancer.accounts.shapes import tail
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.import_view import ends, kind
from mitm_balancer.cli.output import own_command, print_json, table
from mitm_balancer.cli.places import home_of
from mitm_balancer.core.durations import countdown


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as a JSON array")


def main(args: argparse.Namespace) -> int:
    home = home_of(args)
    with opened(home) as store:
        found = AccountBook(store, Vault.open(home)).pending() if store is not None else []
    if args.json:
        print_json([as_json(pending) for pending in found])
    elif not found:
        print(f"nothing waits for a decision ({own_command()} accounts capture watches for credentials)")
    else:
        now = time.time()
        rows = [("ID", "PROVIDER", "KIND", "WHOSE", "ENDS", "SEEN")]
        rows += [_row(pending, now) for pending in found]
        print("\n".join(table(rows)))
        print(f"\n{own_command()} accounts accept ID --alias NAME   or   {own_command()} accounts dismiss ID")
    return 0


def rotates(pending: Pending) -> bool:
    """Whether its refresh token must have one owner, and its agent has it as well."""
    refresh = pending.credential.refresh if pending.credential is not None else None
    return refresh is not None and pending.provider in ROTATING


def _row(pending: Pending, now: float) -> tuple[str, str, str, str, str, str]:
    seen = f"{countdown(max(0.0, now - pending.captured_at))} ago"
    credential = pending.credential
    if credential is None:
        return (pending.id, pending.provider, "-", pending.problem, "-", seen)
    return (pending.id, pending.provider, kind(credential), _whose(pending), ends(credential, now), seen)


def _whose(pending: Pending) -> str:
    credential = pending.credential
    if credential is None:
        return "-"
    identity = known_identity(pending.provider, credential)
    if who := identity.get("email") or identity.get("account_id"):
        return who
    end = tail(credential.secret.reveal())
    return f"...{end}" if end else "-"


def as_json(pending: Pending) -> dict[str, Any]:
    """For programs. Holds nothing of the credential."""
    credential = pending.credential
    identity = known_identity(pending.provider, credential) if credential is not None else {}
    return {
        "id": pending.id,
        "provider": pending.provider,
        "kind": credential.kind if credential is not None else None,
        "email": identity.get("email"),
        "expires_at": credential.expires_at if credential is not None else None,
        "rotates": rotates(pending),
        "source": pending.source,
        "captured_at": pending.captured_at,
        "problem": pending.problem or None,
    }
