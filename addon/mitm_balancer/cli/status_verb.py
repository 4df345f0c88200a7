"""`balancer status`: whether a proxy runs, and what each account can do now."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from rich.console import Console
from rich.live import Live

from mitm_balancer.cli import status_text
from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.look import take
from mitm_balancer.cli.output import print_json
from mitm_balancer.cli.picture import Picture
from mitm_balancer.cli.places import home_of
from mitm_balancer.cli.status_line import line

WATCH_EVERY = 1.0
"""Seconds between two looks; the proxy tells its news as often."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument("--line", action="store_true", help="one line, for a status bar")
    parser.add_argument("--watch", action="store_true", help="look again every second, until Ctrl-C")


def main(args: argparse.Namespace) -> int:
    if args.watch:
        return _watch(args)
    picture = look(args)
    if args.json:
        print_json(picture.as_json())
    elif args.line:
        print(line(picture))
    else:
        show(console(), picture)
    return 0


def look(args: argparse.Namespace) -> Picture:
    """The picture of this moment."""
    home = home_of(args)
    with opened(home) as store:
        return take(args, home, store)


def show(out: Console, picture: Picture) -> None:
    """For people."""
    out.print(status_text.render(picture, out.width), crop=False)


def console() -> Console:
    """Plain where nobody sees colours, or nobody wants them (https://no-color.org)."""
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    return Console(highlight=False, emoji=False, markup=False, color_system=None if plain else "auto")


def _watch(args: argparse.Namespace) -> int:
    """In place on a terminal; elsewhere a new text, or line of JSON, each time that something has changed."""
    try:
        if args.json or args.line or not sys.stdout.isatty():
            _follow(args)
        else:
            _live(args)
    except KeyboardInterrupt:
        pass  # the way to end it
    return 0


def _follow(args: argparse.Namespace) -> None:
    before = ""
    while True:
        picture = look(args)
        told = _told(args, picture)
        if told != before:
            print(told, flush=True)
        before = told
        time.sleep(WATCH_EVERY)


def _told(args: argparse.Namespace, picture: Picture) -> str:
    if args.json:
        return json.dumps(picture.as_json(), ensure_ascii=False)
    if args.line:
        return line(picture)
    out = console()
    with out.capture() as captured:
        show(out, picture)
    return captured.get()


def _live(args: argparse.Namespace) -> None:
    """On the terminal's other screen, which keeps what was there before; the last picture stays behind."""
    out = console()
    picture = look(args)
    try:
        with Live(console=out, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(status_text.render(picture, out.width), refresh=True)
                time.sleep(WATCH_EVERY)
                picture = look(args)
    finally:
        show(out, picture)
