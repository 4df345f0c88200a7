"""`balancer usage [ACCOUNT...]`: what is left of each account's quota, until when, and who said so.

It shows what the answers' headers and the providers' own words have told; `--refresh` asks the providers now.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.look import take
from mitm_balancer.cli.output import CliError, complain, print_json
from mitm_balancer.cli.picture import AccountPicture, Picture
from mitm_balancer.cli.places import existing_home, home_of
from mitm_balancer.cli.roster_view import known_config
from mitm_balancer.cli.usage_view import VERSION, Frame, as_json, lines
from mitm_balancer.config import Config
from mitm_balancer.operations.targets import candidates, nothing
from mitm_balancer.store import Store, StoreError


def arguments(parser: argparse.ArgumentParser) -> None:
    from mitm_balancer.cli.completing import complete_targets  # noqa: PLC0415 - only when words are completed

    names = parser.add_argument(
        "accounts", nargs="*", metavar="ACCOUNT", help="provider/alias, an alias, or a provider"
    )
    names.completer = complete_targets  # type: ignore[attr-defined]
    parser.add_argument("--refresh", action="store_true", help="ask the providers now")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    home = home_of(args)
    outcome: Mapping[str, str] = {}
    by = ""
    if args.refresh:
        outcome, by = _refresh(args)
    with opened(home) as store:
        config = known_config(args, home, store)
        picture = take(args, home, store)
    chosen = _chosen(picture.accounts, args.accounts)
    if args.json:
        _json(picture, chosen, config, outcome, by)
    else:
        _text(chosen, config, outcome)
    if by == "silent":
        complain("the proxy has not answered in time; what is shown may be older")
        return 1
    return 0


def _refresh(args: argparse.Namespace) -> tuple[Mapping[str, str], str]:
    from mitm_balancer.cli.usage_refresh import refresh  # noqa: PLC0415 - half of the program, only for this

    home = existing_home(args)
    try:
        store = Store.open(home)
    except StoreError as e:
        raise CliError(str(e)) from e
    try:
        config = known_config(args, home, store)
        accounts = _chosen(take(args, home, store).accounts, args.accounts)
        return refresh(home, config, store, [account.name for account in accounts])
    except StoreError as e:
        raise CliError(str(e)) from e
    finally:
        store.close()


def _chosen(accounts: Sequence[AccountPicture], words: Sequence[str]) -> list[AccountPicture]:
    """Those that the words mean, in the accounts' own order; all without words."""
    found: set[str] = set()
    for word in words:
        names = {account.name for account in accounts if word in _names(account.name)}
        if not names:
            known = [account.name for account in accounts]
            raise CliError(nothing(word, known, candidates(known)))
        found |= names
    return [account for account in accounts if not words or account.name in found]


def _names(name: str) -> tuple[str, ...]:
    provider, _, alias = name.partition("/")
    return name, alias, provider


def _text(chosen: Sequence[AccountPicture], config: Config, outcome: Mapping[str, str]) -> None:
    if not chosen:
        print("no accounts: everything passes through untouched; balancer accounts add")
        return
    providers = {provider.name: provider for provider in config.all_providers()}
    frame = Frame(max(80, min(shutil.get_terminal_size((80, 24)).columns, 120)))
    for line in lines(chosen, providers, time.time(), frame):
        print(line)
    for name, why in outcome.items():
        if why:
            complain(f"{name} was not asked: {why}")


def _json(
    picture: Picture, chosen: Sequence[AccountPicture], config: Config, outcome: Mapping[str, str], by: str
) -> None:
    providers = {provider.name: provider for provider in config.all_providers()}
    print_json(
        {
            "version": VERSION,
            "at": picture.at,
            "home": picture.home,
            "proxy": asdict(picture.proxy) if picture.proxy is not None else None,
            "problems": list(picture.problems),
            "refresh": {"by": by, "not_asked": {name: why for name, why in outcome.items() if why}} if by else None,
            "accounts": [as_json(account, providers, picture.at) for account in chosen],
        }
    )
