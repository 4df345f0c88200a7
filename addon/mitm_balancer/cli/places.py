"""The home and the configuration, as the common options name them."""

from __future__ import annotations

import argparse
import shlex
import stat
from pathlib import Path

from mitm_balancer.cli.output import CliError
from mitm_balancer.config import Config, ConfigErrors, load
from mitm_balancer.paths import config_path, home_path


def common(parser: argparse.ArgumentParser, default: str) -> None:
    """Options that stand before or after the verb; `default` SUPPRESS keeps what was said before it."""
    parser.add_argument("--home", metavar="DIR", default=default, help="folder of the state ($BALANCER_HOME)")
    parser.add_argument("--config", metavar="FILE", default=default, help="configuration file ($BALANCER_CONFIG)")


def home_of(args: argparse.Namespace) -> Path:
    """The home; it need not exist."""
    return home_path(args.home or None)


def existing_home(args: argparse.Namespace) -> Path:
    """The home, made with mode 0700 if need be. Refuses one that others can read: it holds keys."""
    home = home_of(args)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(home.stat().st_mode)
    except OSError as e:
        raise CliError(f"cannot use {home} as home: {e.strerror}") from e
    if mode & 0o077:
        raise CliError(f"others can read {home}, which holds keys: chmod 700 {shlex.quote(str(home))}")
    return home


def config_of(args: argparse.Namespace, home: Path) -> Config:
    """The configuration. Every mistake in it is one line of the CliError."""
    path, explicit = config_path(args.config or None, home)
    try:
        return load(path if explicit or path.exists() else None)
    except ConfigErrors as e:
        raise CliError("the configuration is not usable:\n" + "\n".join(f"  {error}" for error in e.errors)) from e


def expected_config(args: argparse.Namespace, home: Path) -> Path:
    """Where a configuration is, or would be looked for."""
    return config_path(args.config or None, home)[0]


def same_places(args: argparse.Namespace) -> list[str]:
    """The common options again, for a command line of ours that shall mean the same home and configuration."""
    words: list[str] = []
    for option in ("home", "config"):
        if given := getattr(args, option):
            words += [f"--{option}", str(Path(given).expanduser().absolute())]
    return words
