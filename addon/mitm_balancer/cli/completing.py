"""Completion of words that only the home knows: accounts and providers. Never fails, never prints."""

from __future__ import annotations

import argparse
from typing import Any

from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.output import CliError
from mitm_balancer.cli.places import home_of
from mitm_balancer.cli.roster_view import known_config
from mitm_balancer.targets import candidates


def complete_targets(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """For argcomplete: what `targets.find` takes."""
    try:
        return [name for name in candidates(_accounts(parsed_args)) if name.startswith(prefix)]
    except (CliError, OSError):
        return []


def complete_accounts(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """For argcomplete: names of accounts, as provider/alias."""
    try:
        return [name for name in _accounts(parsed_args) if name.startswith(prefix)]
    except (CliError, OSError):
        return []


def _accounts(args: argparse.Namespace) -> list[str]:
    home = home_of(args)
    with opened(home) as store:
        return [spec.name for spec in known_config(args, home, store).accounts]
