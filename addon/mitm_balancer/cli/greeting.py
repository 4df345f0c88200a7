"""What `balancer run` says once it listens: where, for which accounts, and how to start an agent."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from mitm_balancer import __version__
from mitm_balancer.cli.output import own_command
from mitm_balancer.config import Config

SHOWN = 4
"""Accounts named in full; more are counted."""


def greeting(url: str, home: Path, config: Config, config_file: Path, options: Sequence[str]) -> list[str]:
    """The lines. `options` are the common options that the user must repeat to mean the same home."""
    balancer = shlex.join(options)
    command = f"{own_command()} {balancer}".rstrip()
    return [
        f"balancer {__version__} listens on {url}",
        f"  accounts  {_accounts(config, config_file)}",
        f"  config    {config.source or f'none ({config_file} is read when it exists)'}",
        f"  home      {home}",
        f"  agent     {command} exec -- claude",
        f'  or        eval "$({command} env)"   then start agents in that shell',
    ]


def _accounts(config: Config, config_file: Path) -> str:
    enabled = [spec.name for spec in config.accounts if spec.enabled]
    if not enabled:
        return (
            f"none yet: everything passes through untouched until {config_file.name} declares some, or "
            f"{own_command()} accounts add PROVIDER stores one"
        )
    more = f" and {len(enabled) - SHOWN} more" if len(enabled) > SHOWN else ""
    return f"{len(enabled)}: {', '.join(enabled[:SHOWN])}{more}"
