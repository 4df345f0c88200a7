"""`balancer env`: the lines that point a shell at the running proxy. Meant for `eval "$(balancer env)"`."""

from __future__ import annotations

import argparse
import os

from mitm_balancer.cli import shells
from mitm_balancer.cli.bus import running
from mitm_balancer.cli.cabundle import write_bundle
from mitm_balancer.cli.clientenv import variables
from mitm_balancer.cli.output import CliError, complain, own_command, print_json
from mitm_balancer.cli.places import existing_home
from mitm_balancer.cli.proxyauth import asks_for_password


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shell", choices=shells.SHELLS, help="whose language (default: by $SHELL)")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    home = existing_home(args)
    proxy = running(home)
    if proxy is None:
        raise CliError(f"no proxy runs with the home {home}; start one: {own_command()} run")
    try:
        bundle = write_bundle(home, proxy.ca, os.environ)
    except OSError as e:
        raise CliError(f"cannot write the CA file: {e}") from e
    if advice := asks_for_password(proxy, home):
        complain(advice)
    wanted = variables(proxy.url, proxy.ca, bundle, os.environ)
    if args.json:
        print_json(wanted)
    else:
        print("\n".join(shells.lines(wanted, args.shell or shells.guess())))
    return 0
