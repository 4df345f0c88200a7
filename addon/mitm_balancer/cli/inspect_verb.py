"""`balancer inspect TARGET`: all that is known about an account, or about those of a provider."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mitm_balancer.cli.board import target_arguments
from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.limit_text import limit_lines
from mitm_balancer.cli.look import take
from mitm_balancer.cli.output import CliError, print_json
from mitm_balancer.cli.picture import VERSION, AccountPicture, Picture
from mitm_balancer.cli.places import home_of
from mitm_balancer.cli.roster_view import known_config
from mitm_balancer.cli.status_text import COLOURS, doings, trouble
from mitm_balancer.cli.status_usage import counted
from mitm_balancer.cli.terminal import console
from mitm_balancer.config import AccountSpec
from mitm_balancer.operations.targets import UnknownTargetError, find
from mitm_balancer.store import EventRow

EVENTS_SHOWN = 8
"""Of each account, the newest."""

EVENTS_SEARCHED = 2000

LABEL = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Inspected:
    """One account."""

    account: AccountPicture
    spec: AccountSpec
    events: tuple[EventRow, ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    target_arguments(parser)


def main(args: argparse.Namespace) -> int:
    home = home_of(args)
    with opened(home) as store:
        specs = {spec.name: spec for spec in known_config(args, home, store).accounts}
        try:
            named = find(args.target, specs)
        except UnknownTargetError as e:
            raise CliError(str(e)) from e
        picture = take(args, home, store)
        events = store.events(limit=EVENTS_SEARCHED) if store is not None else []
    found = [
        Inspected(account, specs[account.name], _of(events, account.name))
        for account in picture.accounts
        if account.name in named.accounts
    ]
    if args.json:
        print_json({"version": VERSION, "at": picture.at, "accounts": [as_json(picture, one) for one in found]})
    else:
        out = console()
        for one in found:
            out.print(_page(one, picture.at), crop=False)
    return 0


def _of(events: Sequence[EventRow], name: str) -> tuple[EventRow, ...]:
    provider = name.partition("/")[0]
    return tuple(event for event in events if event.account in (name, provider))[-EVENTS_SHOWN:]


def as_json(picture: Picture, one: Inspected) -> dict[str, Any]:
    """As in `status --json`, and what is declared of it, and its newest events."""
    known: dict[str, Any]
    (known,) = (entry for entry in picture.as_json()["accounts"] if entry["name"] == one.account.name)
    spec = one.spec
    declared = {
        "weight": spec.weight,
        "models": list(spec.models),
        "concurrency_limit": spec.concurrency_limit,
        "base_url": str(spec.base_url) if spec.base_url is not None else None,
        "enabled": spec.enabled,
        "policy_tags": list(spec.policy_tags),
        "credential": str(spec.credential),
        "line": spec.line or None,
    }
    return known | declared | {"events": [dataclasses.asdict(event) for event in one.events]}


def _page(one: Inspected, now: float) -> RenderableType:
    account = one.account
    title = Text.assemble((account.name, "bold"), "  ", (account.state, COLOURS.get(account.state, "")))
    table = Table.grid(padding=(0, 1))
    table.add_column(width=LABEL - 1, no_wrap=True, style="bright_black")
    table.add_column(overflow="fold")
    for word, text in _rows(one, now):
        table.add_row(word, text)
    return Group(title, Padding(table, (0, 0, 1, 2)))


def _rows(one: Inspected, now: float) -> Iterator[tuple[str, RenderableType]]:
    account, spec = one.account, one.spec
    if wrong := list(trouble(account, now)):
        yield "out", Group(*wrong)
    yield "credential", f"{spec.credential}{f' (line {spec.line})' if spec.line else ''}"
    yield "serves", f"{', '.join(spec.models)}{f' at {spec.base_url}' if spec.base_url else ''}"
    yield "order", f"priority {account.priority}, weight {spec.weight:g}"
    yield "running", f"{account.in_flight} of {spec.concurrency_limit}, {account.sessions} sessions are tied to it"
    if limits := list(limit_lines(account.usage, now)):
        yield "limits", Group(*limits)
    if account.health is not None:
        yield "health", f"{account.health:.2f}, failure rate {account.failure_rate or 0:.2f}, breaker {account.breaker}"
    for model, seconds in account.latency.items():
        yield "first token", f"{seconds:.2f} s {model}"
    for model, tokens in account.usage.models.items():
        yield "today", f"{model or 'no model'}: {counted(tokens)}"
    if did := list(doings(account, now)):
        yield "lately", Group(*did)
    for event in one.events:
        yield time.strftime("%m-%d %H:%M", time.localtime(event.at)), event.message or event.type
