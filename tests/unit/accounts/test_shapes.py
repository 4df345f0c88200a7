"""What is said of a credential by its look."""

import pytest
from account_samples import jwt

from mitm_balancer.accounts import shapes
from mitm_balancer.providers.registry import BUILTIN_NAMES


def test_every_provider_that_is_named_exists() -> None:
    named = {name for _, providers in shapes._BEGINNINGS for name in providers} | shapes._ALWAYS.keys()
    assert named <= BUILTIN_NAMES


@pytest.mark.parametrize(
    ("provider", "credential", "said"),
    [
        ("anthropic", "sk-ant-api03-x", ""),
        ("anthropic", "sk-ant-oat01-x", ""),
        ("openai", "sk-ant-api03-x", "credential of anthropic"),
        ("openai", "sk-proj-x", ""),
        ("openai", "sk-anything", ""),
        ("openrouter", "sk-or-v1-x", ""),
        ("openrouter", "sk-proj-x", "credential of openai"),
        ("gemini", "AIzaSy", ""),
        ("vertex", "AIzaSy", ""),
        ("groq", "sk-x", "begin with gsk_"),
        ("deepseek", "sk-x", ""),
        ("copilot", "ghp_x", "classic GitHub token"),
        ("copilot", "gho_x", ""),
        ("anthropic", "sk-ant-ort01-x", "refresh token"),
        ("openai", "Bearer sk-x", "whole header"),
        ("openai", "OPENAI_API_KEY=sk-x", "line of a shell"),
    ],
)
def test_complaints(provider: str, credential: str, said: str) -> None:
    found = shapes.complaint(provider, credential)
    assert said in found
    assert bool(found) == bool(said)


def test_kinds_and_ends() -> None:
    assert [shapes.kind_of(c) for c in ("sk-ant-api03-x", "sk-ant-oat01-x", jwt({}), "gho_x", "github_pat_x")] == [
        "api", "oauth", "oauth", "oauth", "api",
    ]  # fmt: skip
    assert shapes.ends_at(jwt({"exp": 1_900_000_000})) == 1.9e9
    assert shapes.ends_at("tid=1;exp=1900000000;x=y") == 1.9e9
    assert shapes.ends_at("sk-x") is None
    assert shapes.ends_at(jwt({"exp": "soon"})) is None


def test_at_most_four_characters_are_ever_told() -> None:
    assert shapes.tail("sk-ant-api03-0123456789") == "6789"
    assert shapes.tail("short-key-12345") == ""
