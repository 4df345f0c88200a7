"""What an operator may type for an account."""

import pytest

from mitm_balancer.operations.targets import Named, UnknownTargetError, candidates, find

KNOWN = ["anthropic/work", "anthropic/spare", "openai/work", "openai/anthropic", "gemini/g"]


@pytest.mark.parametrize(
    ("text", "name", "accounts"),
    [
        ("anthropic/work", "anthropic/work", ("anthropic/work",)),
        ("spare", "anthropic/spare", ("anthropic/spare",)),
        ("openai", "openai", ("openai/work", "openai/anthropic")),
        ("anthropic", "anthropic", ("anthropic/work", "anthropic/spare")),  # a provider before an alias
        ("g", "gemini/g", ("gemini/g",)),
    ],
)
def test_names_providers_and_aliases_of_their_own_are_found(text: str, name: str, accounts: tuple[str, ...]) -> None:
    found = find(text, KNOWN)
    assert found == Named(name, accounts)
    assert found.is_provider == ("/" not in name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("work", "several accounts, say which: anthropic/work, openai/work"),
        ("spair", "did you mean spare?"),
        ("antropic/work", "did you mean anthropic/work?"),
        ("opanai", "did you mean openai?"),
        ("zzz", "there are: anthropic/work, anthropic/spare, openai/work, openai/anthropic, gemini/g"),
        ("", "there is no account or provider"),
    ],
)
def test_anything_else_is_told_with_what_is_right(text: str, told: str) -> None:
    with pytest.raises(UnknownTargetError, match=told.replace("?", r"\?")):
        find(text, KNOWN)


def test_without_accounts_it_says_so() -> None:
    with pytest.raises(UnknownTargetError, match="no account is declared or stored"):
        find("work", [])


def test_every_candidate_is_found_and_none_is_in_doubt() -> None:
    assert candidates(KNOWN) == [*KNOWN, "anthropic", "openai", "gemini", "spare", "g"]
    for word in candidates(KNOWN):
        assert find(word, KNOWN)
