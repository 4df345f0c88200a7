"""docs/usage.md: every provider with its pace, every field of the JSON."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mitm_balancer.cli.picture import AccountPicture, Cooldown
from mitm_balancer.cli.status_usage import PollPicture, Tokens, UsagePicture, WindowPicture
from mitm_balancer.cli.usage_view import as_json
from mitm_balancer.providers.registry import BUILTIN
from mitm_balancer.usage.polls.registry import POLLS, REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "usage.md").read_text()


def test_every_provider_is_on_the_page() -> None:
    assert set(re.findall(r"`([a-z-]+)`", PAGE)) >= {provider.name for provider in BUILTIN}


@pytest.mark.parametrize("provider", sorted(POLLS))
def test_the_pace_of_each_provider(provider: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| ") and f"`{provider}`" in line.split("|")[1]]
    pace = f"{POLLS[provider].every / 60:.0f} min" if POLLS[provider].every else "`every_s`"
    assert row.split("|")[3].strip() == pace


@pytest.mark.parametrize("provider", sorted(REASONS))
def test_who_is_not_asked(provider: str) -> None:
    assert not [line for line in PAGE.splitlines() if line.startswith("| ") and f"`{provider}`" in line.split("|")[1]]


def test_every_field_of_the_json_is_on_the_page() -> None:
    window = WindowPicture("w", 1.0, None, None, "", None, None, None, 0.0)
    poll = PollPicture(0.0, "exact", "", "", "", (), 0.0)
    usage = UsagePicture(Tokens(), {"m": Tokens()}, (window,), poll)
    account = AccountPicture("a/b", "a", "b", "ready", False, 0, cooldowns=(Cooldown("", "", 0.0, 0.0),), usage=usage)
    data = as_json(account, {}, 0.0)
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert {f"accounts.{name}" for name in data} <= set(re.findall(r"`(accounts\.\w+)`", PAGE))
    for field, value in data.items():
        (row,) = [line for line in rows if f"`accounts.{field}`" in line]
        inner = value[0] if isinstance(value, list) and value else value
        for name in inner if isinstance(inner, dict) and field != "models" else ():
            assert f"`{name}`" in row, f"{field}.{name}"
