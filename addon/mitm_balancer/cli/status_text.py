"""`status` for people: fits 80 columns, and uses wider terminals for a second column of details."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mitm_balancer.cli.limit_text import limit_lines
from mitm_balancer.cli.output import own_command
from mitm_balancer.cli.picture import SERVING, AccountPicture, Picture, ProxyPicture
from mitm_balancer.cli.status_usage import counted
from mitm_balancer.core.durations import countdown

LABEL = 10
"""Columns of the words on the left of the head."""

LONGEST_NAME, STATE, LIMITS, DETAIL, GAP = 40, 8, 42, 40, 2
"""Columns: of a name, of a state, of the bars where they stand beside the rest, of the rest at least, and between."""

RECENT = 24 * 3600.0
"""Seconds for which a last error is told."""

COLOURS = {
    "ready": "green",
    "limited": "yellow",
    "cooling": "yellow",
    "failing": "red",
    "unusable": "red",
    "paused": "magenta",
    "drained": "magenta",
    "disabled": "bright_black",
}


def render(picture: Picture, width: int) -> RenderableType:
    """The whole page. Print it with `crop=False`: addresses and paths are not broken, whatever the width."""
    parts: list[RenderableType] = [*_places(picture)]
    head = Table.grid(padding=(0, 1))
    head.add_column(width=LABEL - 1, no_wrap=True, style="bright_black")
    head.add_column(overflow="fold")
    for word, text in _head(picture):
        head.add_row(word, text)
    parts.append(head)
    if picture.accounts:
        parts.append(Padding(_accounts(picture, width), (1, 0, 0, 0)))
    return Group(*parts)


def show(out: Console, picture: Picture) -> None:
    """Print it."""
    out.print(render(picture, out.width), crop=False)


def _places(picture: Picture) -> Iterator[Text]:
    """Lines to copy from, so they are whole."""
    config = picture.config or f"none ({picture.config_file} is read when it exists)"
    for word, text in (("proxy", _proxy(picture)), ("config", Text(config))):
        label = Text(f"{word:<{LABEL}}", "bright_black")
        line = Text("", no_wrap=True, overflow="ignore")
        yield line.append_text(label).append_text(text)


def _head(picture: Picture) -> Iterator[tuple[str, Text]]:
    if picture.balancing:
        yield "balancing", Text(f"on, strategy {picture.strategy}")
    else:
        yield "balancing", Text("off: the active account serves, without failover", "yellow")
    if picture.proxy is not None:
        yield "work", Text(_work(picture.proxy))
    if picture.overrides:
        yield "commands", Text("; ".join(picture.overrides), "yellow")
    if picture.capture_until is not None:
        left = countdown(max(0.0, picture.capture_until - picture.at))
        yield "capture", Text(f"on for {left}; ends with {own_command()} accounts capture --off", "yellow")
    if picture.pending:
        yield "captured", Text(f"{picture.pending} not decided on: {own_command()} accounts pending", "yellow")
    if picture.config_problem:
        yield "problem", Text("the configuration has a mistake, the running one stays:", "red")
    for problem in picture.problems:
        # The file's folder stands two lines above.
        short = problem.replace(picture.config_file, Path(picture.config_file).name)
        yield ("" if picture.config_problem else "problem"), Text(short, "red")
    if not picture.accounts:
        yield "accounts", Text("none: everything passes through untouched")


def _proxy(picture: Picture) -> Text:
    proxy = picture.proxy
    if proxy is None:
        return Text(f"none runs; start one: {own_command()} run", "yellow")
    age = countdown(picture.at - (proxy.started or picture.at))
    return Text.assemble((proxy.url, "bold"), f"   pid {proxy.pid}, up {age}")


def _work(proxy: ProxyPicture) -> str:
    limit = f" of {proxy.concurrency_limit}" if proxy.concurrency_limit else ""
    queue = f" of {proxy.queue_limit}" if proxy.queue_limit and proxy.waiting else ""
    sockets = f", {proxy.sockets} open socket{'s' if proxy.sockets > 1 else ''}" if proxy.sockets else ""
    return f"{proxy.running}{limit} running, {proxy.waiting}{queue} waiting{sockets}"


def _accounts(picture: Picture, width: int) -> RenderableType:
    """In two columns of details, or one, or below each name: as there is room."""
    name = min(max(len("ACCOUNT"), *(len(account.name) for account in picture.accounts)), LONGEST_NAME)
    left = width - (1 + name + STATE + 3 * GAP)
    if left < DETAIL:
        return Group(*(_stacked(account, picture.at) for account in picture.accounts))
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bright_black")
    table.add_column("", width=1)
    table.add_column("ACCOUNT", width=name, overflow="fold")
    table.add_column("STATE", width=STATE)
    wide = left - LIMITS - GAP >= DETAIL
    if wide:
        table.add_column("LIMITS", width=LIMITS, overflow="fold")
    table.add_column("DETAIL", width=left - LIMITS - GAP if wide else left, overflow="fold")
    for account in picture.accounts:
        limits = list(limit_lines(account.usage, picture.at))
        wrong, did = list(trouble(account, picture.at)), list(doings(account, picture.at))
        cells = (Group(*limits), Group(*wrong, *did)) if wide else (Group(*wrong, *limits, *did),)
        table.add_row(*_title(account), *cells)
    return table


def _stacked(account: AccountPicture, now: float) -> RenderableType:
    mark, name, state = _title(account)
    below = Group(*trouble(account, now), *limit_lines(account.usage, now), *doings(account, now))
    return Group(Text.assemble(f"{mark or ' '} ", name, "  ", state), Padding(below, (0, 0, 0, 4)))


def _title(account: AccountPicture) -> tuple[str, Text, Text]:
    serves = account.active and account.state in SERVING
    name = Text(account.name, "bold" if serves else "")
    return "▶" if serves else "", name, Text(account.state, COLOURS.get(account.state, ""))


def trouble(account: AccountPicture, now: float) -> Iterator[Text]:
    """Why it does not serve, or not everything."""
    if account.problem:
        yield Text(account.problem, "red")
    for cooldown in account.cooldowns:
        model = f" for {cooldown.model}" if cooldown.model else ""
        yield Text(f"back in {countdown(cooldown.seconds)}{model}: {cooldown.reason}")
    if account.breaker != "closed":
        until = (account.breaker_until or now) - now
        yield Text("breaker open, " + (f"a probe in {countdown(until)}" if until > 0 else "a probe is next"))


def doings(account: AccountPicture, now: float) -> Iterator[Text]:
    """What it does, did, and has used."""
    if doing := _doing(account, now):
        yield Text(doing)
    if error := _last_error(account, now):
        yield Text(error, "bright_black")
    if account.usage.today.answers:
        yield Text(f"today {counted(account.usage.today)}", "bright_black")


def _doing(account: AccountPicture, now: float) -> str:
    parts = ["active"] if account.active and account.state in SERVING else []
    parts += [f"{account.in_flight} running"] if account.in_flight else []
    parts += [f"{account.sessions} session{'s' if account.sessions != 1 else ''}"] if account.sessions else []
    if account.last_used is not None:
        parts.append(f"used {countdown(now - account.last_used)} ago")
    if account.latency:
        parts.append(f"{min(account.latency.values()):.1f} s to first token")
    if account.health is not None and account.health < 1:
        parts.append(f"health {account.health:.2f}")
    return ", ".join(parts)


def _last_error(account: AccountPicture, now: float) -> str:
    error = account.last_error
    if error is None or not isinstance(at := error.get("at"), int | float) or now - at > RECENT:
        return ""
    told = ": ".join(str(error[name]) for name in ("reason", "message") if error.get(name))
    status = f"{error['status']} " if error.get("status") else ""
    again = f", {account.failures} in a row" if account.failures > 1 else ""
    return f"last error {countdown(now - at)} ago{again}: {status}{error.get('verdict')}{f', {told}' if told else ''}"
