"""Declared and stored accounts become one list, and what cannot be in it is told."""

import dataclasses
from pathlib import Path

import pytest

from mitm_balancer.accounts.model import AccountSettings, Credential, StoredAccount
from mitm_balancer.accounts.roster import merge
from mitm_balancer.config import Config, Stored, parse
from mitm_balancer.secrets import Secret

CONFIG = dataclasses.replace(
    parse("version: 1\naccounts:\n- {provider: anthropic, alias: work, credential: x, priority: 3}\n", "config.yaml"),
    source=Path("/home/me/config.yaml"),
)


def stored(provider: str, alias: str, identity: dict[str, str] | None = None, **settings: object) -> StoredAccount:
    return StoredAccount(
        f"id-{alias}", provider, alias, Credential("oauth", Secret("s"), identity=identity or {}), 1,
        AccountSettings(**settings), "add", 1.0, 1.0,  # type: ignore[arg-type]
    )  # fmt: skip


def test_stored_accounts_come_behind_the_declared_ones() -> None:
    account = stored(
        "codex", "me", {"account_id": "w", "email": "me@x", "project": "p\r\nx: y"}, priority=-1, weight=2.0,
        models=("gpt-*",), base_url="https://gate.example/v1", concurrency_limit=3, policy_tags=("t",),
    )  # fmt: skip
    merged, problems = merge(CONFIG, [account])

    assert problems == ()
    assert [spec.name for spec in merged.accounts] == ["anthropic/work", "codex/me"]
    spec = merged.accounts[1]
    assert spec.credential == Stored("codex/me")
    assert (spec.priority, spec.weight, spec.models, spec.concurrency_limit) == (-1, 2.0, ("gpt-*",), 3)
    assert (str(spec.base_url), spec.policy_tags) == ("https://gate.example/v1", ("t",))
    # Only ids that may stand in a header go along.
    assert spec.identity == (("account_id", "w"),)
    assert merge(merged, [account]) == (merged, ())


def test_of_a_name_that_both_have_the_declared_one_counts() -> None:
    merged, (problem,) = merge(CONFIG, [stored("anthropic", "work"), stored("anthropic", "spare")])
    assert [(spec.name, spec.line) for spec in merged.accounts] == [("anthropic/work", 3), ("anthropic/spare", 0)]
    assert "anthropic/work is declared in /home/me/config.yaml, line 3 and stored as well" in problem
    assert "balancer accounts rename anthropic/work" in problem


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (stored("nobody", "a"), "no provider is named nobody"),
        (stored("azure", "a"), "azure has no address of its own"),
        (stored("openai", "a", base_url="http://far.example"), "its base URL is bad: expected https://"),
    ],
    ids=["provider", "azure", "url"],
)
def test_what_cannot_be_used_is_told_and_disables_itself_only(account: StoredAccount, said: str) -> None:
    merged, (problem,) = merge(Config(), [account, stored("openai", "good")])
    assert said in problem
    assert problem.startswith(account.name)
    assert [spec.name for spec in merged.accounts] == ["openai/good"]


def test_an_account_without_credential_is_listed() -> None:
    """Its problem is told where the credential is looked for."""
    bad = dataclasses.replace(stored("openai", "a"), credential=None, problem="damaged")
    merged, problems = merge(Config(), [bad])
    assert ([spec.name for spec in merged.accounts], problems) == (["openai/a"], ())


def test_a_pin_to_an_account_that_is_none_is_told() -> None:
    config = parse(
        "priority: {pins: [{model: 'a*', account: anthropic/gone}, {model: 'b*', account: anthropic/gone}]}", "c"
    )
    _, (problem,) = merge(config, [])
    assert "anthropic/gone" in problem
    assert merge(config, [stored("anthropic", "gone")])[1] == ()
