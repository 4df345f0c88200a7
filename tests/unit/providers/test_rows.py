"""Every error row of a provider decides at least one case of the tables: a row that nothing needs is no knowledge."""

from __future__ import annotations

import dataclasses

import provider_rows
import pytest
import test_anthropic
import test_anthropic_errors
import test_google
import test_hosted
import test_hosted_bodies
import test_openai
import test_openrouter
import test_subscriptions
from provider_rows import Row, check

from mitm_balancer.providers import google_errors
from mitm_balancer.providers.model import ErrorRule, Provider
from mitm_balancer.providers.registry import BUILTIN, Registry

CASES: list[tuple[str, Row]] = [
    *(("anthropic", row) for row in (*test_anthropic.ROWS, *test_anthropic_errors.ROWS)),
    *(("openai", row) for row in test_openai.ROWS),
    *(("gemini", row) for row in test_google.ROWS),
    *(("openrouter", row) for row in test_openrouter.ROWS),
    *test_subscriptions.ROWS,
    *test_hosted.ROWS,
    *test_hosted_bodies.ROWS,
]

# Providers that share one table are one family; Vertex has Google's rows behind its own.
FAMILIES = {provider.errors: provider for provider in reversed(BUILTIN)}
RULES = [
    pytest.param(family, rule, id=f"{family.name}-{index}-{rule.reason or rule.codes[0]}")
    for family in FAMILIES.values()
    for index, rule in enumerate(family.errors)
    if family.name != "vertex" or rule not in google_errors.ERRORS
]


@pytest.mark.parametrize(("family", "rule"), RULES)
def test_a_row_decides(family: Provider, rule: ErrorRule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the row, a case of its table comes out wrong."""
    kin = [provider for provider in BUILTIN if provider.errors == family.errors]
    less = tuple(other for other in family.errors if other is not rule)
    registry = Registry(dataclasses.replace(p, errors=less) if p in kin else p for p in BUILTIN)
    monkeypatch.setattr(provider_rows, "REGISTRY", registry)
    names = {provider.name for provider in kin}
    assert not all(passes(name, row) for name, row in CASES if name in names)


def passes(name: str, row: Row) -> bool:
    try:
        check(name, row)
    except AssertionError:
        return False
    return True
