"""`balancer accounts list`: declared and stored accounts in one table."""

from __future__ import annotations

import argparse
import time
from typing import Any

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.roster import merge
from mitm_balancer.accounts.shapes import tail
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.look import take
from mitm_balancer.cli.output import own_command, print_json, table
from mitm_balancer.cli.picture import AccountPicture
from mitm_balancer.cli.places import home_of
from mitm_balancer.cli.roster_view import declared
from mitm_balancer.config import AccountSpec, Config, Literal, Stored
from mitm_balancer.core.durations import countdown


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    home = home_of(args)
    with opened(home) as store:
        config = declared(args, home, store)[0]
        picture = take(args, home, store)
        stored = AccountBook(store, Vault.open(home)).all() if store is not None else []
        chosen = set((store.settings().get("active") or {}).values()) if store is not None else set()
    merged = merge(config, stored)[0]
    rows = _rows(merged, {a.name: a for a in stored}, {p.name: p for p in picture.accounts}, chosen)
    unlisted = [account for account in stored if account.name not in {row["name"] for row in rows}]
    problems = [*picture.problems, *(f"{a.name}: {a.problem}" for a in unlisted if a.problem)]
    if args.json:
        print_json({"accounts": rows, "problems": problems, "pending": picture.pending})
        return 0
    print("\n".join(_text(rows, config, picture.at)))
    for problem in problems:
        print(f"problem   {problem}")
    if picture.pending:
        print(f"{picture.pending} captured and not decided on: {own_command()} accounts pending")
    return 0


def _rows(
    merged: Config,
    stored: dict[str, StoredAccount],
    seen: dict[str, AccountPicture],
    chosen: set[str],
) -> list[dict[str, Any]]:
    """What is told of each account; nothing of a credential but its last four characters."""
    rows = []
    for spec in merged.accounts:
        of_store = stored.get(spec.name) if isinstance(spec.credential, Stored) else None
        picture = seen.get(spec.name)
        rows.append(
            {
                "name": spec.name,
                "provider": spec.provider,
                "alias": spec.alias,
                "source": of_store.source if of_store is not None else "config",
                "kind": of_store.kind if of_store is not None else _kind(spec),
                "state": picture.state if picture is not None else "",
                "active": picture.active if picture is not None else False,
                "chosen": spec.name in chosen,
                "priority": picture.priority if picture is not None else spec.priority,
                "models": list(spec.models),
                "base_url": str(spec.base_url) if spec.base_url is not None else None,
                "tail": tail(of_store.credential.secret.reveal()) if of_store and of_store.credential else "",
                "line": spec.line or None,
                "created_at": of_store.created_at if of_store is not None else None,
                "updated_at": of_store.updated_at if of_store is not None else None,
                "last_used_at": _last_used(picture, of_store),
                "expires_at": of_store.expires_at if of_store is not None else None,
                "renewable": bool(of_store and of_store.credential and of_store.credential.refresh),
                "problem": picture.problem if picture is not None else "",
            }
        )
    return rows


def _last_used(picture: AccountPicture | None, of_store: StoredAccount | None) -> float | None:
    """What a proxy tells is newer than what is written down."""
    written = of_store.last_used_at if of_store is not None else None
    return picture.last_used if picture is not None and picture.last_used is not None else written


def _kind(spec: AccountSpec) -> str:
    """How the configuration names the credential."""
    return "literal" if isinstance(spec.credential, Literal) else type(spec.credential).__name__.lower()


def _text(rows: list[dict[str, Any]], config: Config, now: float) -> list[str]:
    if not rows:
        return [f"no accounts yet: {own_command()} accounts add PROVIDER, or {own_command()} accounts import"]
    lines = [("ACCOUNT", "KIND", "FROM", "STATE", "DETAIL")]
    lines += [
        (row["name"], row["kind"], _from(row, config), row["state"], "; ".join(_details(row, now))) for row in rows
    ]
    return table(lines)


def _from(row: dict[str, Any], config: Config) -> str:
    name = config.source.name if config.source is not None else "config"
    return f"{name}:{row['line']}" if row["line"] else str(row["source"])


def _details(row: dict[str, Any], now: float) -> list[str]:
    details = []
    if row["active"] or row["chosen"]:
        details.append("active" if row["active"] else "chosen")
    if row["problem"]:
        details.append(row["problem"])
    if row["tail"]:
        details.append(f"ends in {row['tail']}")
    if row["created_at"]:
        details.append(f"since {time.strftime('%Y-%m-%d', time.localtime(row['created_at']))}")
    if row["last_used_at"]:
        details.append(f"used {countdown(now - row['last_used_at'])} ago")
    if row["expires_at"]:
        details.append(_end(row, now))
    return details


def _end(row: dict[str, Any], now: float) -> str:
    left = float(row["expires_at"]) - now
    if row["renewable"]:
        return f"token renewed in {countdown(left)}" if left > 0 else "token renewed when it is needed"
    return f"expires in {countdown(left)}" if left > 0 else "expired"
