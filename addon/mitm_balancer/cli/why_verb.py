"""`balancer why REQUEST`: which accounts a request went to, and why. `x-balancer` in an answer names the request."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable
from pathlib import Path

from mitm_balancer.cli.bus import opened, seen
from mitm_balancer.cli.output import CliError, print_json
from mitm_balancer.cli.places import home_of
from mitm_balancer.ops.story import story
from mitm_balancer.store import Store

WRITTEN = 1.0
"""Seconds until a running proxy has surely written down a request that is over: it gathers for a quarter of one."""

LOOK_EVERY = 0.05


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", metavar="REQUEST", help="an id from an x-balancer header, a flow's id, or: last")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    home = home_of(args)
    with opened(home) as store:
        record = _found(store, args.request, home) if store is not None else None
    if record is None:
        which = "no request" if args.request == "last" else f"no request {args.request}"
        raise CliError(f"{which} is known to {home}; the newest 5000 balanced ones are kept")
    if args.json:
        print_json(record)
    else:
        print("\n".join(fitted(story(record))))
    return 0


def _found(store: Store, request: str, home: Path) -> dict[str, object] | None:
    """Its record; of an answer that has only just come, once the proxy has written it."""
    deadline = time.monotonic() + WRITTEN
    while (record := store.get_trace(request)) is None and request != "last":
        if time.monotonic() > deadline or seen(home, store) is None:
            break
        time.sleep(LOOK_EVERY)
    return record


def fitted(lines: Iterable[str]) -> list[str]:
    """On a terminal no line is cut in a word; what goes on is indented."""
    if not sys.stdout.isatty():
        return list(lines)
    width = max(40, shutil.get_terminal_size().columns)
    return [part for line in lines for part in _wrapped(line, width)]


def _wrapped(line: str, width: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
