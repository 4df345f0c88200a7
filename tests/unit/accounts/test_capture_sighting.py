"""Which credentials on the wire can become accounts."""

from __future__ import annotations

import pytest

from mitm_balancer.accounts.sighting import sighted
from mitm_balancer.providers.registry import BUILTIN
from unit.accounts.importing.clientfiles import CHATGPT

PROVIDERS = {provider.name: provider for provider in BUILTIN}


@pytest.mark.parametrize(
    ("provider", "carried", "kind"),
    [
        ("anthropic", "sk-ant-api03-0123456789abcdef", "api"),
        ("anthropic", "sk-ant-oat01-0123456789abcdef", "oauth"),
        ("openai", "sk-proj-0123456789abcdef", "api"),
        ("copilot", "gho_0123456789abcdef0123", "oauth"),
        ("codex", CHATGPT, "oauth"),
        ("deepseek", "sk-0123456789abcdef0123", "api"),
    ],
    ids=lambda value: value[:12],
)
def test_taken(provider: str, carried: str, kind: str) -> None:
    found = sighted(PROVIDERS[provider], carried, {})
    assert found is not None
    assert (found.kind, found.secret.reveal()) == (kind, carried)


@pytest.mark.parametrize(
    ("provider", "carried"),
    [
        ("anthropic", "placeholder"),
        ("anthropic", "a-placeholder-that-is-long-enough"),
        ("anthropic", "hidden-by-mitm-balancer"),
        ("openai", "sk-ant-api03-0123456789abcdef"),  # a gateway's mix-up: not this provider's
        ("copilot", "tid=0123456789abcdef;exp=1;sku=x"),
        ("copilot", "0123456789abcdef0123456789"),
        ("codeassist", "ya29.0123456789abcdef01234"),
        ("deepseek", "two words that are long enough"),
    ],
    ids=lambda value: value[:16],
)
def test_not_taken(provider: str, carried: str) -> None:
    assert sighted(PROVIDERS[provider], carried, {}) is None


def test_codex_says_whose_it_is() -> None:
    found = sighted(PROVIDERS["codex"], CHATGPT, {"chatgpt-account-id": "acct-9"})
    assert found is not None
    assert found.identity["account_id"] == "acct-9"
    assert found.identity["email"] == "ann@example.com"


def test_a_github_token_renews_itself() -> None:
    found = sighted(PROVIDERS["copilot"], "gho_0123456789abcdef0123", {})
    assert found is not None
    assert found.refresh == found.secret
