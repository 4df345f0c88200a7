"""`status --watch`: in place on a terminal; elsewhere a new text, or line of JSON, when something has changed.

A configuration that becomes unreadable does not end it: that is told in place of the picture, until it is mended.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from mitm_balancer.cli.output import CliError, complain
from mitm_balancer.cli.picture import Picture
from mitm_balancer.cli.status_line import line
from mitm_balancer.cli.status_text import render, show
from mitm_balancer.cli.terminal import console

EVERY = 1.0
"""Seconds between two looks; the proxy tells its news as often."""

PASSING = frozenset({"at", "seconds", "back_in", "resets_in"})
"""Fields that change with the clock: they alone are no news."""

type Look = Callable[[], Picture]


def watch(args: argparse.Namespace, look: Look) -> int:
    """Until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        if args.json or args.line or not sys.stdout.isatty():
            _follow(args, look)
        else:
            _live(look)
    return 0


def _follow(args: argparse.Namespace, look: Look) -> None:
    before: object = None
    while True:
        try:
            picture = look()
        except CliError as e:
            if before != (news := str(e)):
                complain(news)
            before = news
        else:
            told, news = _told(args, picture)
            if news != before:
                print(told, flush=True)
            before = news
        time.sleep(EVERY)


def _told(args: argparse.Namespace, picture: Picture) -> tuple[str, Any]:
    """The text, and what makes it worth telling."""
    if args.json:
        data = picture.as_json()
        return json.dumps(data, ensure_ascii=False), _lasting(data)
    if args.line:
        return line(picture), line(picture)
    out = console()
    with out.capture() as captured:
        show(out, picture)
    return captured.get(), _lasting(picture.as_json())


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(inner) for name, inner in value.items() if name not in PASSING}
    return [_lasting(inner) for inner in value] if isinstance(value, list | tuple) else value


def _live(look: Look) -> None:
    """On the terminal's other screen, which keeps what was there before; the last picture stays behind."""
    out = console()
    page = _page(out, look)
    try:
        with Live(console=out, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(page, refresh=True)
                time.sleep(EVERY)
                page = _page(out, look)
    finally:
        out.print(page, crop=False)


def _page(out: Console, look: Look) -> RenderableType:
    try:
        return render(look(), out.width)
    except CliError as e:
        return Text(str(e), "red")
