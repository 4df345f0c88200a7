"""`status --line`: one line for a status bar, as the seed shows it: the account that serves, and how full it is.

`anthropic/work · ██░░ 42% · 1 of 2 ready · anthropic/spare back in 12 min`
"""

from __future__ import annotations

from mitm_balancer.cli.bars import bar
from mitm_balancer.cli.picture import SERVING, Picture
from mitm_balancer.core.durations import countdown

WIDTH = 4
"""Blocks of the bar (behaviour spec 6.4)."""


def line(picture: Picture) -> str:
    """Without colour: what shows it has its own."""
    serving = picture.serving
    parts = ["balancer"] if serving is None else [serving.name, bar(serving.used, WIDTH)]
    parts.append(f"{sum(a.state in SERVING for a in picture.accounts)} of {len(picture.accounts)} ready")
    waiting = [account for account in picture.accounts if account.back_in is not None]
    if waiting:
        first = min(waiting, key=lambda account: account.back_in or 0)
        parts.append(f"{first.name} back in {countdown(first.back_in or 0)}")
    if picture.proxy is None:
        parts.append("no proxy runs")
    elif picture.proxy.waiting:
        parts.append(f"{picture.proxy.waiting} waiting")
    if not picture.balancing:
        parts.append("balancing is off")
    if picture.config_problem:
        parts.append("the configuration has a mistake")
    elif picture.problems:
        parts.append("there is a problem")
    return " · ".join(parts)
