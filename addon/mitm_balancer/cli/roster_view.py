"""Which accounts there are, for the CLI: those of the configuration and those that are stored.

When the file has a mistake, a running proxy goes on with what it read before; then its own word counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mitm_balancer import roster_row
from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.bus import running
from mitm_balancer.cli.output import CliError
from mitm_balancer.cli.places import config_of
from mitm_balancer.config import Config
from mitm_balancer.roster import merge
from mitm_balancer.store import Store


def known_config(args: argparse.Namespace, home: Path, store: Store | None) -> Config:
    """The configuration with all accounts. Raises CliError when it is unusable and no proxy can stand in for it."""
    try:
        config = config_of(args, home)
        return merge(config, AccountBook(store, Vault.open(home)).listed())[0] if store is not None else config
    except CliError:
        told = store.get_state(roster_row.KEY) if store is not None else None
        if told is None or running(home) is None:
            raise
        return roster_row.config_of(told)
