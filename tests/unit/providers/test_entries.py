"""Where another provider's clients enter, for every built-in provider and for those of the user's own."""

from __future__ import annotations

import pytest

from mitm_balancer.config import parse
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.providers.entries import Question, dialects, entry, entry_at, main_question, question
from mitm_balancer.providers.model import Provider
from mitm_balancer.providers.registry import BUILTIN, Registry

A, C, R, G = Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.GEMINI

WHERE = {
    "anthropic": {A: "/v1/messages"},
    "openai": {C: "/v1/chat/completions", R: "/v1/responses"},
    "codex": {R: "/backend-api/codex/responses"},
    "copilot": {A: "/v1/messages", C: "/chat/completions", R: "/responses"},
    "gemini": {C: "/v1beta/openai/chat/completions", G: "/v1beta/models/M:generateContent"},
    "openrouter": {A: "/api/v1/messages", C: "/api/v1/chat/completions", R: "/api/v1/responses"},
    "deepseek": {A: "/anthropic/v1/messages", C: "/v1/chat/completions"},
    "moonshot": {A: "/anthropic/v1/messages", C: "/v1/chat/completions"},
    "kimi": {A: "/coding/v1/messages", C: "/coding/v1/chat/completions"},
    "zai": {A: "/api/anthropic/v1/messages", C: "/api/coding/paas/v4/chat/completions"},
    "qwen": {
        A: "/apps/anthropic/v1/messages",
        C: "/compatible-mode/v1/chat/completions",
        R: "/compatible-mode/v1/responses",
    },
    "qwen-coding": {A: "/apps/anthropic/v1/messages", C: "/v1/chat/completions", R: "/compatible-mode/v1/responses"},
    "minimax": {A: "/anthropic/v1/messages", C: "/v1/chat/completions"},
    "opencode": {
        A: "/zen/v1/messages",
        C: "/zen/v1/chat/completions",
        R: "/zen/v1/responses",
        G: "/zen/v1/models/M:generateContent",
    },
    "azure": {A: "/anthropic/v1/messages", C: "/openai/v1/chat/completions", R: "/openai/v1/responses"},
    "vertex": {},
    "codeassist": {},
}
NAMED = {provider.name: provider for provider in BUILTIN}


@pytest.mark.parametrize("name", WHERE)
def test_the_wire_facts_are_there(name: str) -> None:
    found = {dialect: entry(NAMED[name], main_question(dialect), "M") for dialect in Dialect}
    assert {dialect: at.path for dialect, at in found.items() if at is not None} == WHERE[name]


@pytest.mark.parametrize("provider", BUILTIN, ids=lambda provider: provider.name)
def test_an_entry_speaks_the_dialect_and_is_balanced(provider: Provider) -> None:
    for dialect in Dialect:
        found = entry(provider, main_question(dialect), "M")
        if found is not None:
            assert dialect in dialects(provider)
            assert provider.rule_for("POST", found.path) == found.rule
            assert (found.rule.dialect or provider.dialect) is dialect


@pytest.mark.parametrize(
    ("dialect", "path", "suffix"),
    [
        (A, "/v1/messages", "/messages"),
        (A, "/api/anthropic/v1/messages/count_tokens", "/messages/count_tokens"),
        (C, "/openai/deployments/d/chat/completions", "/chat/completions"),
        (R, "/backend-api/codex/responses", "/responses"),
        (G, "/v1beta/models/gemini-2.5-pro:streamGenerateContent", ":streamGenerateContent"),
    ],
)
def test_main_questions(dialect: Dialect, path: str, suffix: str) -> None:
    assert question(dialect, "POST", path) == Question(dialect, suffix)
    assert question(dialect, "GET", path) is None


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        (A, "/v1/messages/batches"),
        (A, "/v1/complete"),
        (A, "/v1/projects/p/locations/l/publishers/anthropic/models/claude:rawPredict"),
        (C, "/v1/embeddings"),
        (R, "/v1/responses/compact"),
        (R, "/v1/responses/resp_1/cancel"),
        (G, "/v1internal:generateContent"),
        (G, "/v1beta/models/m:batchGenerateContent"),
        (G, "/v1beta/models"),
    ],
)
def test_everything_else_stays(dialect: Dialect, path: str) -> None:
    assert question(dialect, "POST", path) is None


def own(**fields: object) -> Provider:
    text = f"providers: {{corp: {{hosts: [llm.corp.example], {', '.join(f'{k}: {v}' for k, v in fields.items())}}}}}"
    found = Registry(parse(text, "c").all_providers()).get("corp")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("provider", "dialect", "path"),
    [
        (own(dialect="anthropic-messages"), A, "/v1/messages"),
        (own(dialect="anthropic-messages", paths='["/*"]'), A, "/v1/messages"),
        (own(dialect="anthropic-messages", paths='["/gateway/v1/*"]'), A, "/gateway/v1/messages"),
        (own(), C, "/v1/chat/completions"),
        (own(), A, "/v1/messages"),
        (own(), R, "/v1/responses"),
        (own(), G, None),
        (own(dialect="gemini", paths='["/*"]'), G, "/v1beta/models/M:generateContent"),
        (own(dialect="openai-responses"), C, None),
    ],
)
def test_gateways(provider: Provider, dialect: Dialect, path: str | None) -> None:
    found = entry(provider, main_question(dialect), "M")
    assert (found and found.path) == path


def test_a_base_path_says_which_product() -> None:
    asked = main_question(A)
    at = entry_at(NAMED["opencode"], asked, "/zen/go/v1", "M")
    assert at is not None
    assert at.path == "/zen/go/v1/messages"
    assert entry_at(NAMED["opencode"], asked, "/elsewhere", "M") is None
