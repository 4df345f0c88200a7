"""`balancer why REQUEST`: which accounts a request went to, and why. `x-balancer` in an answer names the request."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterable

from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.output import CliError, print_json
from mitm_balancer.cli.places import home_of
from mitm_balancer.ops.story import story


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", metavar="REQUEST", help="an id from an x-balancer header, a flow's id, or: last")
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
        print("\n".join(fitted(story(record))))
    return 0


def fitted(lines: Iterable[str]) -> list[str]:
    """On a terminal no line is cut in a word; what goes on is indented."""
    if not sys.stdout.isatty():
        return list(lines)
    width = max(40, shutil.get_terminal_size().columns)
    return [part for line in lines for part in _wrapped(line, width)]


def _wrapped(line: str, width: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
