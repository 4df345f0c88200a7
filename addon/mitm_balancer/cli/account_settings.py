"""The options of `accounts add` and `accounts set` that a declared account has as keys."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable

from mitm_balancer.accounts.model import AccountSettings
from mitm_balancer.cli.output import CliError
from mitm_balancer.config.accounts import FARTHEST
from mitm_balancer.config.nodes import BadValueError
from mitm_balancer.config.urls import read_base_url
from mitm_balancer.providers.model import Provider

NO_URL = "none"
"""Takes a base URL away."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--priority", type=_priority, metavar="N", help="lower goes first; a higher number is a reserve"
    )
    parser.add_argument("--weight", type=_positive(float), metavar="W", help="its share, with the strategy weighted")
    parser.add_argument("--models", metavar="GLOB,...", help="the models that it serves; default: all")
    parser.add_argument(
        "--base-url", metavar="URL", help="send its attempts elsewhere (azure needs one); none: no more"
    )
    parser.add_argument("--concurrency-limit", type=_positive(int), metavar="N", help="requests at once; default 8")


def settings_given(args: argparse.Namespace, before: AccountSettings, provider: Provider) -> AccountSettings:
    """What was said on the command line, over what there was. CliError for what the provider cannot do with."""
    given = {
        "priority": args.priority,
        "weight": args.weight,
        "models": tuple(glob.strip() for glob in (args.models or "").split(",") if glob.strip()) or None,
        "concurrency_limit": args.concurrency_limit,
    }
    found = dataclasses.replace(before, **{key: value for key, value in given.items() if value is not None})
    if args.base_url is not None:
        found = dataclasses.replace(found, base_url=None if args.base_url == NO_URL else _checked(args.base_url))
    if found.base_url is None and provider.needs_base_url and not provider.hosts:
        raise CliError(f"{provider.name} has no address of its own: --base-url states your endpoint", 2)
    return found


def _checked(url: str) -> str:
    try:
        read_base_url(url)
    except BadValueError as bad:
        raise CliError(f"--base-url: {bad}", 2) from None
    return url


def _priority(text: str) -> int:
    """As in the configuration."""
    try:
        found = int(text)
    except ValueError:
        found = None
    if found is None or not -FARTHEST <= found <= FARTHEST:
        raise argparse.ArgumentTypeError(f"expected a whole number from -{FARTHEST} to {FARTHEST}, got {text}")
    return found


def _positive[N: (int, float)](kind: type[N]) -> Callable[[str], N]:
    expected = "a whole number of at least 1" if kind is int else "a number above 0"

    def read(text: str) -> N:
        try:
            found = kind(text)
        except ValueError:
            found = kind(0)
        if not 0 < found < float("inf"):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text}")
        return found

    return read
