"""`balancer exec --account`: only these accounts serve the run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mitm_balancer.cli.bus import Proxy, opened, proxy_state
from mitm_balancer.cli.output import CliError, complain
from mitm_balancer.cli.roster_view import known_config
from mitm_balancer.core.pins import user_of
from mitm_balancer.operations.targets import UnknownTargetError, find


def checked(args: argparse.Namespace, home: Path) -> tuple[str, ...]:
    """The full names of the accounts asked for; CliError before anything starts."""
    if not args.account:
        return ()
    with opened(home) as store:
        config = known_config(args, home, store)
    specs = {spec.name: spec for spec in config.accounts}
    chosen: dict[str, str] = {}
    for text in args.account:
        try:
            named = find(text, list(specs))
        except UnknownTargetError as e:
            raise CliError(str(e)) from e
        if named.name not in specs:
            raise CliError(f"{named.name} is a provider: --account takes one of {', '.join(named.accounts)}")
        provider = specs[named.name].provider
        if chosen.setdefault(provider, named.name) != named.name:
            raise CliError(f"--account takes one account of a provider, not {chosen[provider]} and {named.name}")
        if not specs[named.name].enabled:
            raise CliError(f"{named.name} is disabled in the configuration: nothing could serve this run")
    return tuple(chosen.values())


def pinned(proxy: Proxy, accounts: Sequence[str], home: Path) -> Proxy:
    """The proxy as the run reaches it. CliError where it has use for the user name itself."""
    if not accounts:
        return proxy
    if proxy_state(home).get("proxyauth"):
        raise CliError(
            "the proxy asks for a name and a password (proxyauth), and --account travels in their place: "
            "balancer priority pin ties models or a session to an account"
        )
    providers = ", ".join(account.partition("/")[0] for account in accounts)
    complain(f"only {', '.join(accounts)} serves what this run asks of {providers}; other providers as always")
    return dataclasses.replace(proxy, user=user_of(accounts))
