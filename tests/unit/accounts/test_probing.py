"""One free request per provider, and what its answer means."""

import pytest

from mitm_balancer.accounts.probing import FREE, finding, probe
from mitm_balancer.providers.registry import BUILTIN, BUILTIN_NAMES, Registry
from mitm_balancer.secrets import Secret
from mitm_balancer.upstream.ask import Told

BY_NAME = {provider.name: provider for provider in Registry(BUILTIN)}


def test_every_provider_that_is_named_exists() -> None:
    assert FREE.keys() <= BUILTIN_NAMES


@pytest.mark.parametrize(
    ("provider", "credential", "identity", "url", "headers"),
    [
        ("anthropic", "sk-ant-api03-x", {}, "https://api.anthropic.com/v1/models?limit=1",
         {"x-api-key": "sk-ant-api03-x", "anthropic-version": "2023-06-01"}),
        ("anthropic", "sk-ant-oat01-x", {}, "https://api.anthropic.com/v1/models?limit=1",
         {"authorization": "Bearer sk-ant-oat01-x", "anthropic-version": "2023-06-01",
          "anthropic-beta": "oauth-2025-04-20"}),
        ("openai", "sk-x", {}, "https://api.openai.com/v1/models", {"authorization": "Bearer sk-x"}),
        ("codex", "tok", {"account_id": "w"}, "https://chatgpt.com/backend-api/wham/usage",
         {"authorization": "Bearer tok", "chatgpt-account-id": "w"}),
        ("gemini", "AIza", {}, "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1",
         {"x-goog-api-key": "AIza"}),
        ("copilot", "gho_x", {}, "https://api.github.com/copilot_internal/user", {"authorization": "token gho_x"}),
    ],
)  # fmt: skip
def test_the_request(
    provider: str, credential: str, identity: dict[str, str], url: str, headers: dict[str, str]
) -> None:
    found = probe(BY_NAME[provider], Secret(credential), identity)
    assert found is not None
    assert found.url == url
    assert dict(found.headers) == headers


def test_where_nothing_is_free_nothing_is_asked() -> None:
    assert probe(BY_NAME["opencode"], Secret("sk-x"), {}) is None
    assert probe(BY_NAME["copilot"], Secret("tid=1"), {}) is None


def test_a_base_url_is_asked_where_attempts_go() -> None:
    found = probe(BY_NAME["azure"], Secret("k"), {}, lambda path: f"https://mine.example{path}")
    assert found is not None
    assert found.url == "https://mine.example/openai/v1/models"
    assert dict(found.headers) == {"api-key": "k"}


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (200, b"{}", "ok"),
        (302, b"", "unclear"),
        (401, b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}', "refused"),
        (403, b'{"type":"error","error":{"type":"permission_error","message":"no"}}', "refused"),
        (429, b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}', "limited"),
        (404, b"{}", "unclear"),
        (529, b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', "unreachable"),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, word: str) -> None:
    headers = ((b"content-type", b"application/json"), (b"retry-after", b"30"))
    assert finding(BY_NAME["anthropic"], Told(status, headers, body)).word == word
