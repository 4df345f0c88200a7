"""docs/status.md names every field of the JSON, and every state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mitm_balancer.cli.inspect_verb import Inspected, as_json
from mitm_balancer.cli.picture import VERSION, AccountPicture, Cooldown, Picture, ProxyPicture
from mitm_balancer.cli.status_text import COLOURS
from mitm_balancer.cli.status_usage import PollPicture, Tokens, UsagePicture, WindowPicture
from mitm_balancer.config import AccountSpec, Env
from mitm_balancer.proxy.activity import Activity
from mitm_balancer.store import EventRow

PAGE = (Path(__file__).parents[2] / "docs" / "status.md").read_text()


def full() -> Picture:
    """Every field has something in it."""
    activity = Activity(clock=lambda: 1.0)
    activity.noted("r", {"attempts": [{"account": "a/b", "verdict": "RateLimited"}]})
    window = WindowPicture("5h", 1.0, 2.0, 3.0, "allowed", 300, 4.0, 5.0, 6.0)
    account = AccountPicture(
        "a/b",
        "a",
        "b",
        "ready",
        True,
        0,
        cooldowns=(Cooldown("m", "why", 1.0, 2.0),),
        usage=UsagePicture(Tokens(), {"m": Tokens()}, (window,), PollPicture(1.0, "exact", "", "", "", (), 2.0)),
        last_error=activity.told("a/b")["last_error"],
    )
    proxy = ProxyPicture(1, "http://x", "1", 1.0)
    return Picture(1.0, "/h", "/c", "/c", True, "priority", proxy, ("p",), ("o",), (account,))


def fields(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            if name not in ("models", "latency"):  # named after models
                yield from fields(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from fields(inner)


@pytest.mark.parametrize("field", sorted(set(fields(full().as_json()))))
def test_the_page_names_the_field(field: str) -> None:
    assert re.search(rf"`(?:\w+\.)*{field}`", PAGE)


def test_the_page_names_the_fields_of_inspect() -> None:
    event = EventRow(1, 2.0, "cooldown_started", "a/b", "it rests", {})
    found = as_json(full(), Inspected(full().accounts[0], AccountSpec("a", "b", Env("X")), (event,)))
    more = set(fields(found)) - set(fields(full().as_json()))
    assert {"weight", "credential", "events", "seq"} <= more
    assert [name for name in more if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("state", COLOURS)
def test_the_page_names_the_state(state: str) -> None:
    assert f"| `{state}` |" in PAGE


def test_the_page_tells_the_version() -> None:
    assert f"`version` is {VERSION}." in PAGE
    assert full().as_json()["version"] == VERSION
