"""`balancer accounts capture`: for some minutes, a running proxy watches for credentials that are no accounts yet."""

from __future__ import annotations

import argparse
import time

from mitm_balancer.cli.bus import opened, running
from mitm_balancer.cli.desk import Desk, desk
from mitm_balancer.cli.output import own_command, print_json
from mitm_balancer.cli.places import home_of
from mitm_balancer.core.durations import countdown
from mitm_balancer.operations.capture_window import SETTING, until_of
from mitm_balancer.ops.events import EventType

DEFAULT_MINUTES, LONGEST_MINUTES = 10.0, 24 * 60.0
"""The seed waited ten minutes for a login, too."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", choices=("status",), help="only tell whether the window is open")
    parser.add_argument("--minutes", type=_minutes, default=DEFAULT_MINUTES, metavar="N", help="default: 10")
    parser.add_argument("--off", action="store_true", help="close the window now")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    if args.what == "status":
        return _status(args)
    with desk(args, make=True) as at:
        until = 0.0 if args.off else time.time() + 60 * args.minutes
        was_open = until_of(at.store.settings().get(SETTING)) > time.time()
        at.durable(at.store.set_setting(SETTING, {"until": until}))
        if not args.off:
            said = f"captured for {countdown(60 * args.minutes)}: credentials that are no accounts yet"
            at.store.add_event(EventType.CAPTURE_STARTED, "", said)
        elif was_open:
            at.store.add_event(EventType.CAPTURE_ENDED, "", "nothing is captured any more: ended by the operator")
        at.told()
        pending = len(at.book.pending())
        if args.json:
            print_json({"until": until or None, "pending": pending})
        elif args.off:
            print(f"nothing is captured any more; {_waiting(pending)}")
        else:
            _explain(at, args.minutes)
    return 0


def _explain(at: Desk, minutes: float) -> None:
    print(f"for {countdown(60 * minutes)}, credentials that are no accounts yet are captured")
    if running(at.home) is None:
        print(f"no proxy runs: start one with {own_command()} run")
    print(f"now log in with your agent, or ask it something:  {own_command()} exec -- claude")
    print(f"then see what came:  {own_command()} accounts pending")


def _status(args: argparse.Namespace) -> int:
    """Looking makes no home."""
    with opened(home_of(args)) as store:
        left = until_of(store.settings().get(SETTING)) - time.time() if store is not None else 0.0
        found = store.try_read("SELECT count(*) FROM pending_accounts") if store is not None else None
    pending = int(found[0][0]) if found else 0
    if args.json:
        print_json({"on": left > 0, "seconds_left": max(0.0, left), "pending": pending})
    else:
        print(f"capturing for {countdown(left)} more" if left > 0 else "nothing is captured")
        print(_waiting(pending))
    return 0


def _waiting(pending: int) -> str:
    if not pending:
        return "nothing waits for a decision"
    return f"{pending} {'waits' if pending == 1 else 'wait'} for a decision: {own_command()} accounts pending"


def _minutes(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0
    if not 0 < found <= LONGEST_MINUTES:
        raise argparse.ArgumentTypeError(f"expected minutes from 1 to {LONGEST_MINUTES:.0f}, got {text}")
    return found
