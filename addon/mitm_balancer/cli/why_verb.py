"""`balancer why REQUEST`: which accounts a request went to, and why. `x-balancer` in an answer names the request."""

from __future__ import annotations

import argparse

from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.output import CliError, print_json
from mitm_balancer.cli.places import home_of
from mitm_balancer.ops.story import story


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", metavar="REQUEST", help="an id from an x-balancer header, or: last")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    home = home_of(args)
    with opened(home) as store:
        record = store.get_trace(args.request) if store is not None else None
    if record is None:
        which = "no request" if args.request == "last" else f"no request {args.request}"
        raise CliError(f"{which} is known to {home}; the newest 5000 balanced ones are kept")
    if args.json:
        print_json(record)
    else:
        print("\n".join(story(record)))
    return 0
