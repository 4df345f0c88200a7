"""Which accounts there are, for the CLI: those of the configuration and those that are stored.

When the file has a mistake, a running proxy goes on with what it read before; then its own word counts.
"""

from __future__ import annotations

import argparse
import functools
import time
from dataclasses import dataclass, field
from pathlib import Path

from mitm_balancer.accounts import roster_row
from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.oauth.standing import standing
from mitm_balancer.accounts.roster import merge
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.bus import seen
from mitm_balancer.cli.output import CliError
from mitm_balancer.cli.places import config_of, expected_config
from mitm_balancer.config import Config
from mitm_balancer.store import Store
from mitm_balancer.store.state_keys import PROXY, ROSTER


@dataclass(frozen=True, slots=True)
class Roster:
    """`config` has all accounts, without what commands have set."""

    config: Config
    mistakes: str = ""
    """Why the file cannot be read; `config` is then what the running proxy goes on with."""
    problems: tuple[str, ...] = ()
    """Of stored accounts."""
    unusable: dict[str, str] = field(default_factory=dict)
    """Why a stored account has nothing to send, by its name."""


def declared(args: argparse.Namespace, home: Path, store: Store | None) -> tuple[Config, str]:
    """The configuration, and "". If its file cannot be read: what a running proxy goes on with, and why it cannot.

    The latter has the stored accounts in it, too, and no credentials. Raises CliError when no proxy can stand in.
    """
    try:
        config = config_of(args, home)
        if config.source is None and (gone := _gone(args, home, store)):
            raise CliError(f"{gone}: the file is gone")
    except CliError as mistakes:
        told = store.get_state(ROSTER) if store is not None else None
        if told is None or seen(home, store) is None:
            raise
        return roster_row.config_of(told), str(mistakes)
    return config, ""


def _gone(args: argparse.Namespace, home: Path, store: Store | None) -> Path | None:
    """The file that is not there any more, though a running proxy has read it and goes on with it."""
    path = expected_config(args, home)
    told = (store.get_state(PROXY) if store is not None else None) or {}
    return path if told.get("config") == str(path) and seen(home, store) is not None else None


def roster(args: argparse.Namespace, home: Path, store: Store | None, *, names_only: bool = False) -> Roster:
    """All that is known. Raises CliError when the file is unusable and no proxy can stand in for it.

    `names_only` leaves the vault alone: nobody asks whether a stored account can be used.
    """
    config, mistakes = declared(args, home, store)
    if mistakes:
        return Roster(config, mistakes)
    book = AccountBook(store, _vault(home)) if store is not None else None
    accounts = [] if book is None else book.listed() if names_only else book.all()
    merged, problems = merge(config, accounts)
    of_file = {spec.name for spec in config.accounts}
    unusable = {account.name: account.problem for account in accounts if account.problem}
    if store is not None and not names_only:
        now = time.time()
        unusable |= {account.name: why for account in accounts if (why := standing(store, account, now))}
    return Roster(
        merged,
        problems=problems,
        unusable={name: why for name, why in unusable.items() if name not in of_file},
    )


@functools.cache
def _vault(home: Path) -> Vault:
    """One for the process: `status --watch` looks every second, and a keyring is slow."""
    return Vault.open(home)


def known_config(args: argparse.Namespace, home: Path, store: Store | None) -> Config:
    """The configuration with all accounts. Raises CliError as `roster` does."""
    return roster(args, home, store, names_only=True).config
