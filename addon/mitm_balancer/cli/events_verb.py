"""`balancer events`: what has happened, newest last. With --decisions, each step of each request too."""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from mitm_balancer.cli.event_feed import Line, from_log, from_store
from mitm_balancer.cli.output import CliError, coloured
from mitm_balancer.cli.places import config_of, home_of
from mitm_balancer.ops.events import DECISIONS, EventType
from mitm_balancer.ops.logfile import audit_path
from mitm_balancer.ops.words import plain

TYPES = sorted(type.value for type in EventType)

SHOWN = 50
"""Without --limit."""

_RED, _YELLOW, _GREEN = 31, 33, 32
_COLOURS = {
    EventType.EXHAUSTED: _RED,
    EventType.REAUTH_REQUIRED: _RED,
    EventType.STORE_TROUBLE: _RED,
    EventType.CONFIG_REJECTED: _RED,
    EventType.NOTICE_FAILED: _RED,
    EventType.AUDIT_DROPPED: _RED,
    EventType.RATE_LIMIT_DETECTED: _YELLOW,
    EventType.COOLDOWN_STARTED: _YELLOW,
    EventType.BREAKER_OPENED: _YELLOW,
    EventType.FAILOVER_PERFORMED: _YELLOW,
    EventType.COOLDOWN_ENDED: _GREEN,
    EventType.BREAKER_CLOSED: _GREEN,
    EventType.STORE_RECOVERED: _GREEN,
}
_NAME_WIDTH = 20
"""Columns; the few longer ones stick out."""
_NARROWEST = 20
_NOT_TOLD = frozenset({"ts", "event", "message", "request_id", "account", "provider", "model", "session", "data"})
"""Fields that stand elsewhere in the line, or say nothing to people."""


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-f", "--follow", action="store_true", help="go on with what happens, until Ctrl-C")
    add("-n", "--limit", type=_count, default=SHOWN, metavar="N", help=f"how many of the past; default {SHOWN}")
    add(
        "--type",
        action="append",
        choices=sorted(t.value for t in EventType),
        metavar="T",
        help="of this type only; may be repeated",
    )
    add("--account", metavar="A", help="of this account (provider/alias) or provider only")
    add("--request", metavar="ID", help="of this request only")
    add("--decisions", action="store_true", help="from the audit log: each step of each request as well")
    add("--json", action="store_true", help="one JSON object per line, as in the audit log")


def main(args: argparse.Namespace) -> int:
    wanted, show = _filter(args), _as_json if args.json else _as_text
    past: collections.deque[Line] | None = collections.deque(maxlen=args.limit)
    for line in _feed(args):
        if line is None:  # the past is over
            for old in past or ():
                print(show(old), flush=True)
            past = None
        elif wanted(line):
            if past is None:
                print(show(line), flush=True)
            else:
                past.append(line)
    return 0


def _feed(args: argparse.Namespace) -> Iterator[Line | None]:
    home = home_of(args)
    return from_log(_log(args, home), follow=args.follow) if args.decisions else from_store(home, follow=args.follow)


def _log(args: argparse.Namespace, home: Path) -> Path:
    config = config_of(args, home)
    path = audit_path(config.audit, home, config.source)
    if path is None:
        raise CliError(f"the audit log goes to {config.audit.to}: set `audit: {{to: file}}` to read it here")
    if not path.exists() and not args.follow:
        raise CliError(f"there is no {path} yet: it begins when a proxy runs")
    return path


def _filter(args: argparse.Namespace) -> Callable[[Line], bool]:
    types = set(args.type or ())

    def wanted(line: Line) -> bool:
        concerns = (line.get("account"), line.get("previous"), line.get("provider"))
        return (
            (not types or line.get("event") in types)
            and (not args.account or args.account in concerns)
            and (not args.request or line.get("request_id") == args.request)
        )

    return wanted


def _as_json(line: Line) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def _as_text(line: Line) -> str:
    """On a terminal the text is wrapped below itself, and today has no date."""
    kind, at = str(line.get("event")), _when(line)
    about = plain(_decision(line) if kind in DECISIONS else _change(line))
    margin = len(f"{at}  {kind.ljust(_NAME_WIDTH)}  ")
    name = coloured(kind.ljust(_NAME_WIDTH), _COLOURS[EventType(kind)]) if kind in _COLOURS else kind.ljust(_NAME_WIDTH)
    if sys.stdout.isatty():
        width = max(shutil.get_terminal_size().columns - margin, _NARROWEST)
        about = f"\n{' ' * margin}".join(textwrap.wrap(about, width, break_on_hyphens=False))
    return f"{at}  {name}  {about}".rstrip()


def _change(line: Line) -> str:
    account, message = str(line.get("account") or ""), str(line.get("message") or "")
    named = account.rpartition("/")[2] in message
    return message if named else f"{account}: {message}" if message else account


def _decision(line: Line) -> str:
    parts = [str(line.get("request_id")), str(line.get("account") or line.get("model") or "")]
    parts += [f"{name}={_short(value)}" for name, value in line.items() if name not in _NOT_TOLD]
    return "  ".join(part for part in parts if part)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text) if " " in text else text


def _when(line: Line) -> str:
    """On this machine's clock."""
    try:
        at = datetime.datetime.fromisoformat(str(line.get("ts"))).astimezone()
    except ValueError:
        return str(line.get("ts"))
    today = sys.stdout.isatty() and at.date() == datetime.datetime.now(at.tzinfo).date()
    return f"{at:%H:%M:%S}" if today else f"{at:%Y-%m-%d %H:%M:%S}"


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")
    return int(text)
