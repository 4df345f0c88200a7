"""No credential that a provider quotes survives in an outcome's message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_rows import NOW
from provider_rows import REGISTRY as PROVIDERS

from mitm_balancer.providers.classify import classify
from mitm_balancer.providers.masking import mask

KEYS = [
    "sk-ant-api03-Canary_0123456789-abcdefghij",
    "sk-ant-oat01-Canary0123456789",
    "sk-proj-Canary",
    "sk-or-v1-0123456789abcdef",
    "sk-abc***************wxyz",
    "AIzaSyCanary0123456789abcdefghijklmnopqr",
    "ya29.a0Canary-0123_456",
    "gsk_Canary0123456789",
    "xai-Canary0123456789",
    "gho_Canary0123456789abcdef",
    "github_pat_11AACANARY_0123456789",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJDYW5hcnkifQ.c2ln",
    "0123456789abcdef0123456789abcdef.CanaryCanary1234",
    "0123456789abcdefCanary0123456789",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("text", ["Incorrect API key provided: {}. You can find", 'key "{}" is invalid', "({})", "{}"])
def test_a_quoted_key_is_masked(key: str, text: str) -> None:
    body = json.dumps({"error": {"message": text.format(key), "code": "invalid_api_key"}}).encode()
    provider = PROVIDERS.get("openai")
    assert provider is not None
    found = classify(provider, 401, (), body, now=NOW)
    assert found.message == text.format("***")


def test_a_bearer_token_of_any_shape_is_masked() -> None:
    assert mask("got Authorization: Bearer canary-token, sorry") == "got Authorization: Bearer ***, sorry"


@pytest.mark.parametrize(
    "text",
    [
        "Rate limit reached for gpt-5.2-codex-sonic in organization org-x on tokens per min (TPM): Limit 15000",
        "model: claude-sonnet-4-5-20250929",
        "Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 0",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "reset after 156h14m36s at 2026-09-21T14:13:20Z",
    ],
)
def test_ordinary_texts_stay(text: str) -> None:
    assert mask(text) == text


@given(st.text("ask-0 9AIzaeyJ._", max_size=400))
def test_total_and_stable(text: str) -> None:
    assert mask(mask(text)) == mask(text)
