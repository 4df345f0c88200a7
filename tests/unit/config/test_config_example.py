"""config.example.yaml is the schema's documentation: complete, equal to the defaults, and its examples work."""

import dataclasses
import re
from pathlib import Path

import pytest

from mitm_balancer.config import Config, Env, File, Policy, UsagePolls, load, parse, reading
from mitm_balancer.config import accounts as accounts_section
from mitm_balancer.config import credentials as credentials_section
from mitm_balancer.config import providers as providers_section
from mitm_balancer.config import rules as rules_section
from mitm_balancer.config.model import STRATEGIES

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"
TEXT = EXAMPLE.read_text()


def keys(schema: type) -> list[str]:
    found = []
    for field in dataclasses.fields(schema):
        nested = keys(type(field.default)) if dataclasses.is_dataclass(field.default) else []
        found += [field.name, *nested]
    return found


def test_it_equals_the_defaults() -> None:
    assert load(EXAMPLE) == Config(source=EXAMPLE)
    # Not only by being absent: every policy key is written out.
    policy = parse(TEXT.replace("retry_budget: 3", "retry_budget: 4"), "x").policy
    assert policy == Policy(retry_budget=4)


@pytest.mark.parametrize("key", [*keys(Policy), *keys(UsagePolls)])
def test_every_policy_key_is_written_out(key: str) -> None:
    assert re.search(rf"^ +{key}:", TEXT, re.MULTILINE)


@pytest.mark.parametrize(
    "key",
    [
        *reading.KEYS,
        *accounts_section.KEYS,
        *providers_section.KEYS,
        *credentials_section.SOURCES,
        *rules_section.KEYS,
    ],
)
def test_every_key_occurs(key: str) -> None:
    assert re.search(rf"\b{key}:", TEXT)


def test_every_strategy_occurs() -> None:
    assert " | ".join(STRATEGIES) in TEXT


def test_every_verdict_of_a_rule_occurs() -> None:
    assert " | ".join(rules_section.VERDICTS) in " ".join(TEXT.replace("#", " ").split())


def test_its_examples_work() -> None:
    config = parse(re.sub(r"(?m)^#(?! \S)", "", TEXT), "/etc/balancer/config.yaml")
    assert [account.name for account in config.accounts] == [
        "anthropic/work",
        "anthropic/personal",
        "openai/team",
        "gemini/lab",
        "corp/shared",
    ]
    assert config.accounts[0].credential == Env("WORK_KEY")
    assert config.accounts[1].credential == File(Path.home() / ".secrets/anthropic")
    assert [provider.name for provider in config.providers] == ["corp", "corp-azure", "corp-query", "anthropic"]
    assert [(rule.provider, rule.rule.status, rule.rule.codes) for rule in config.rules] == [
        ("corp", (418,), ("teapot",)),
        (None, (), ("content_blocked",)),
    ]
    assert [row.provider for row in config.priority.providers] == ["anthropic", "zai", "kimi", "corp"]
    assert [pin.account for pin in config.priority.pins] == ["anthropic/work"]
