"""`balancer accounts set NAME`: other settings for a stored account; its credential stays."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from mitm_balancer.accounts.model import AccountSettings
from mitm_balancer.cli.account_settings import add_settings, settings_given
from mitm_balancer.cli.desk import desk
from mitm_balancer.cli.output import CliError, print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a stored account")
    add_settings(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args) as at:
        account = at.stored(args.name, "change")
        settings = settings_given(args, account.settings, at.provider(account.provider))
        if settings == account.settings:
            raise CliError("nothing to change: see balancer accounts set --help", 2)
        at.book.configure(account.name, settings)
        told = at.told()
    if args.json:
        print_json({"account": account.name, "settings": asdict(settings)})
    else:
        print(f"{account.name}: {_words(settings)}")
        print(told)
    return 0


def _words(settings: AccountSettings) -> str:
    """For people."""
    parts = [
        f"priority {settings.priority}",
        f"weight {settings.weight:g}",
        f"models {', '.join(settings.models)}",
        f"at most {settings.concurrency_limit} requests at once",
    ]
    return ", ".join([*parts, *([f"base URL {settings.base_url}"] if settings.base_url else [])])
