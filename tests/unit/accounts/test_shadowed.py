"""Accounts that never serve because another provider claims what is asked of theirs."""

import json

import pytest

from mitm_balancer.accounts.roster import merge
from mitm_balancer.config import parse


def problems(hosts: list[str], paths: list[str], *accounts: str) -> tuple[str, ...]:
    entry = {"hosts": hosts, "dialect": "anthropic-messages", "auth": "x-api-key", "paths": paths}
    declared = [{"provider": name, "alias": "a", "credential": "x"} for name in accounts]
    return merge(parse(json.dumps({"providers": {"corp": entry}, "accounts": declared}), "config.yaml"), ())[1]


def test_the_hidden_accounts_are_told() -> None:
    (told,) = problems(["llm.corp.example", "api.anthropic.com"], ["/v1/*"], "anthropic", "corp")

    assert told == (
        "providers.corp names api.anthropic.com, a host of anthropic, and comes first: what is asked there goes to "
        "accounts of corp, never to those of anthropic"
    )


@pytest.mark.parametrize(
    ("hosts", "paths", "accounts"),
    [
        (["llm.corp.example"], ["/v1/*"], ["anthropic", "corp"]),
        (["api.anthropic.com"], ["/v1/*"], ["corp"]),
        (["api.anthropic.com"], ["/corp/*"], ["anthropic", "corp"]),
    ],
    ids=["another host", "nobody is hidden", "other paths"],
)
def test_what_hides_nobody_is_not(hosts: list[str], paths: list[str], accounts: list[str]) -> None:
    assert problems(hosts, paths, *accounts) == ()
