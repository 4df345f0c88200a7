"""`balancer status`: whether a proxy runs, and what each account can do now."""

from __future__ import annotations

import argparse

from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.output import coloured, own_command, print_json, table
from mitm_balancer.cli.picture import AccountPicture, Picture, take
from mitm_balancer.cli.places import expected_config, home_of
from mitm_balancer.cli.roster_view import known_config
from mitm_balancer.cli.status_usage import usage_lines
from mitm_balancer.core.durations import countdown

GREEN, YELLOW, RED, GREY = 32, 33, 31, 90
COLOURS = {"ready": GREEN, "limited": YELLOW, "cooling": YELLOW, "unusable": RED, "disabled": GREY}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument("--line", action="store_true", help="one line, for a status bar")


def main(args: argparse.Namespace) -> int:
    home = home_of(args)
    with opened(home) as store:
        config = known_config(args, home, store)
    picture = take(home, config, expected_config(args, home))
    if args.json:
        print_json(picture.as_json())
    elif args.line:
        print(line(picture))
    else:
        print("\n".join(text(picture)))
    return 0


def line(picture: Picture) -> str:
    """`balancer: 1 of 2 ready, anthropic/work back in 12 min`."""
    waiting = [account for account in picture.accounts if account.back_in is not None]
    parts = [f"{sum(a.state in ('ready', 'limited') for a in picture.accounts)} of {len(picture.accounts)} ready"]
    if waiting:
        first = min(waiting, key=lambda account: account.back_in or 0)
        parts.append(f"{first.name} back in {countdown(first.back_in or 0)}")
    if picture.proxy is None:
        parts.append("no proxy runs")
    if not picture.balancing:
        parts.append("balancing is off")
    if picture.problems:
        parts.append("the configuration has a mistake" if picture.config_problem else "see balancer status")
    return f"balancer: {', '.join(parts)}"


def text(picture: Picture) -> list[str]:
    """The lines for people; none is longer than 80 columns, but for paths."""
    lines = [
        _proxy_line(picture),
        f"config    {picture.config or f'none ({picture.config_file} is read when it exists)'}",
    ]
    lines += [] if picture.balancing else ["balancing off: the active account serves, without failover"]
    lines += [f"problem   {problem}" for problem in picture.problems]
    if not picture.accounts:
        return [*lines, "accounts  none: everything passes through untouched"]
    rows = [("ACCOUNT", "STATE", "DETAIL")]
    rows += [row for account in picture.accounts for row in _rows(account, picture.at)]
    head, *rest = table(rows)
    return [*lines, "", head, *(_colour(entry) for entry in rest)]


def _proxy_line(picture: Picture) -> str:
    if picture.proxy is None:
        return f"proxy     none runs; start one: {own_command()} run"
    age = countdown(picture.at - (picture.proxy["started"] or picture.at))
    return f"proxy     {picture.proxy['url']}   pid {picture.proxy['pid']}, up {age}"


def _rows(account: AccountPicture, now: float) -> list[tuple[str, str, str]]:
    """One line, and one more for each further cooldown, and those of its usage."""
    details = [
        f"back in {countdown(c.seconds)}{f' for {c.model}' if c.model else ''}: {c.reason}" for c in account.cooldowns
    ]
    if account.problem:
        details.insert(0, account.problem)
    if account.active and account.state in ("ready", "limited"):
        details.insert(0, "active")
    details += usage_lines(account.usage, now)
    first, *more = details or [""]
    return [(account.name, account.state, first), *(("", "", detail) for detail in more)]


def _colour(entry: str) -> str:
    """Colours the state, after the columns were aligned: escape codes have no width."""
    for word, code in COLOURS.items():
        if f"  {word}" in entry:
            return entry.replace(f"  {word}", f"  {coloured(word, code)}", 1)
    return entry
