"""`balancer status`: whether a proxy runs, and what each account can do now."""

from __future__ import annotations

import argparse

from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.look import take
from mitm_balancer.cli.output import print_json
from mitm_balancer.cli.picture import Picture
from mitm_balancer.cli.places import home_of
from mitm_balancer.cli.status_line import line

# rich is imported where a page is drawn: a status bar asks for its line every few seconds.


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument("--line", action="store_true", help="one line, for a status bar")
    parser.add_argument("--watch", action="store_true", help="look again every second, until Ctrl-C")


def main(args: argparse.Namespace) -> int:
    if args.watch:
        from mitm_balancer.cli.status_watch import watch  # noqa: PLC0415

        return watch(args, lambda: look(args))
    picture = look(args)
    if args.json:
        print_json(picture.as_json())
    elif args.line:
        print(line(picture))
    else:
        from mitm_balancer.cli.status_text import show  # noqa: PLC0415
        from mitm_balancer.cli.terminal import console  # noqa: PLC0415

        show(console(), picture)
    return 0


def look(args: argparse.Namespace) -> Picture:
    """The picture of this moment."""
    home = home_of(args)
    with opened(home) as store:
        return take(args, home, store)
