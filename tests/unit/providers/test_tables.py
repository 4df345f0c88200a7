"""The providers' tables: paths, carriers, companions, limit headers; and what must hold for every provider."""

from __future__ import annotations

import re

import pytest
from provider_rows import NOW, REGISTRY

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.providers import limits
from mitm_balancer.providers.limits import Window
from mitm_balancer.providers.model import BEARER, PathKind, Provider
from mitm_balancer.providers.registry import BUILTIN

INF, B, C = PathKind.INFERENCE, PathKind.BOUND, PathKind.CONTROL
MESSAGES, CHAT, RESPONSES, GEMINI = (
    Dialect.ANTHROPIC_MESSAGES,
    Dialect.OPENAI_CHAT,
    Dialect.OPENAI_RESPONSES,
    Dialect.GEMINI,
)

PATHS: list[tuple[str, str, PathKind, Dialect | None]] = [
    ("api.anthropic.com", "POST /v1/messages", INF, MESSAGES),
    ("api.anthropic.com", "POST /v1/messages/count_tokens", INF, MESSAGES),
    ("api.anthropic.com", "POST /v1/messages/batches", B, MESSAGES),
    ("api.anthropic.com", "GET /v1/files/file_1", B, MESSAGES),
    ("api.anthropic.com", "GET /api/oauth/usage", C, None),
    ("api.anthropic.com", "POST /api/event_logging/batch", C, None),
    ("api.anthropic.com", "GET /v1/organizations/cost_report", C, None),
    ("api.anthropic.com", "POST /v1/oauth/token", C, None),
    ("api.openai.com", "POST /v1/responses", INF, RESPONSES),
    ("api.openai.com", "GET /v1/responses/resp_1", B, RESPONSES),
    ("eu.api.openai.com", "POST /v1/chat/completions", INF, CHAT),
    ("api.openai.com", "GET /v1/organization/costs", C, None),
    ("api.openai.com", "GET /v1/dashboard/billing/credit_grants", C, None),
    ("chatgpt.com", "POST /backend-api/codex/responses", INF, RESPONSES),
    ("chatgpt.com", "POST /backend-api/codex/responses/compact", INF, RESPONSES),
    ("chatgpt.com", "GET /backend-api/codex/models", INF, RESPONSES),
    ("chatgpt.com", "POST /backend-api/codex/analytics-events/events", C, None),
    ("chatgpt.com", "GET /backend-api/wham/usage", C, None),
    ("chatgpt.com", "GET /backend-api/wham/accounts/check", C, None),
    ("chatgpt.com", "GET /", C, None),
    ("api.individual.githubcopilot.com", "POST /chat/completions", INF, CHAT),
    ("api.githubcopilot.com", "POST /v1/messages", INF, MESSAGES),
    ("api.githubcopilot.com", "POST /responses", INF, RESPONSES),
    ("api.githubcopilot.com", "POST /models/session", INF, CHAT),
    ("api.githubcopilot.com", "POST /mcp/readonly", C, None),
    ("api.githubcopilot.com", "GET /agents/x", C, None),
    ("generativelanguage.googleapis.com", "POST /v1beta/models/g:streamGenerateContent", INF, GEMINI),
    ("generativelanguage.googleapis.com", "POST /v1beta/openai/chat/completions", INF, CHAT),
    ("generativelanguage.googleapis.com", "GET /v1beta/files/x", B, GEMINI),
    ("cloudcode-pa.googleapis.com", "POST /v1internal:streamGenerateContent", INF, GEMINI),
    ("cloudcode-pa.googleapis.com", "POST /v1internal:loadCodeAssist", C, None),
    (
        "us-central1-aiplatform.googleapis.com",
        "POST /v1/projects/p/locations/l/publishers/google/models/g:generateContent",
        INF,
        GEMINI,
    ),
    (
        "aiplatform.googleapis.com",
        "POST /v1/projects/p/locations/global/publishers/anthropic/models/c:streamRawPredict",
        INF,
        MESSAGES,
    ),
    (
        "aiplatform.eu.rep.googleapis.com",
        "POST /v1beta1/projects/p/locations/eu/endpoints/openapi/chat/completions",
        INF,
        CHAT,
    ),
    ("aiplatform.googleapis.com", "POST /v1/projects/p/locations/l/datasets", C, None),
    ("openrouter.ai", "POST /api/v1/messages", INF, MESSAGES),
    ("openrouter.ai", "POST /api/v1/auth/keys", C, None),
    ("openrouter.ai", "GET /api/v1/key", C, None),
    ("api.groq.com", "POST /openai/v1/chat/completions", INF, CHAT),
    ("api.groq.com", "POST /openai/v1/files", B, CHAT),
    ("api.groq.com", "GET /platform/x", C, None),
    ("api.mistral.ai", "POST /v1/fim/completions", INF, CHAT),
    ("api.mistral.ai", "POST /v1/agents/completions", INF, CHAT),
    ("api.mistral.ai", "POST /v1/conversations", B, CHAT),
    ("codestral.mistral.ai", "POST /v1/fim/completions", INF, CHAT),
    ("api.deepseek.com", "POST /chat/completions", INF, CHAT),
    ("api.deepseek.com", "POST /beta/completions", INF, CHAT),
    ("api.deepseek.com", "POST /anthropic/v1/messages", INF, MESSAGES),
    ("api.deepseek.com", "GET /user/balance", C, None),
    ("api.x.ai", "POST /v1/messages", INF, MESSAGES),
    ("api.x.ai", "POST /v1/responses", INF, RESPONSES),
    ("cli-chat-proxy.grok.com", "GET /v1/billing", C, None),
    ("cli-chat-proxy.grok.com", "GET /v1/settings", C, None),
    ("api.together.ai", "POST /v1/chat/completions", INF, CHAT),
    ("api.fireworks.ai", "POST /inference/v1/chat/completions", INF, CHAT),
    ("api.fireworks.ai", "GET /v1/accounts/a/billing/summary", C, None),
    ("api.cerebras.ai", "POST /v1/chat/completions", INF, CHAT),
    ("api.moonshot.ai", "POST /v1/chat/completions", INF, CHAT),
    ("api.moonshot.ai", "GET /v1/users/me/balance", C, None),
    ("api.kimi.com", "POST /coding/v1/chat/completions", INF, CHAT),
    ("api.kimi.com", "GET /coding/v1/usages", C, None),
    ("api.z.ai", "POST /api/coding/paas/v4/chat/completions", INF, CHAT),
    ("api.z.ai", "POST /api/anthropic/v1/messages", INF, MESSAGES),
    ("api.z.ai", "GET /api/monitor/usage/quota/limit", C, None),
    ("open.bigmodel.cn", "POST /api/paas/v4/chat/completions", INF, CHAT),
    ("dashscope-intl.aliyuncs.com", "POST /compatible-mode/v1/chat/completions", INF, CHAT),
    ("coding-intl.dashscope.aliyuncs.com", "POST /apps/anthropic/v1/messages", INF, MESSAGES),
    ("portal.qwen.ai", "POST /v1/chat/completions", INF, CHAT),
    ("api.minimax.io", "POST /anthropic/v1/messages", INF, MESSAGES),
    ("api.minimaxi.com", "POST /v1/text/chatcompletion_v2", INF, CHAT),
    ("opencode.ai", "POST /zen/v1/chat/completions", INF, CHAT),
    ("opencode.ai", "POST /zen/go/v1/messages", INF, MESSAGES),
    ("opencode.ai", "POST /zen/v1/models/gemini-3:streamGenerateContent", INF, GEMINI),
    ("opencode.ai", "GET /zen/v1/models/gemini-3", INF, CHAT),
    ("opencode.ai", "GET /zen/go/v1/usage", C, None),
    ("opencode.ai", "GET /auth", C, None),
]


@pytest.mark.parametrize(("host", "request_line", "kind", "dialect"), PATHS)
def test_path(host: str, request_line: str, kind: PathKind, dialect: Dialect | None) -> None:
    """What wire-facts section 24 says of this path; what no row names is control plane."""
    (provider,) = REGISTRY.claim(host, 443)
    method, _, path = request_line.partition(" ")
    rule = provider.rule_for(method, path)
    assert (rule.kind if rule else C) is kind
    if dialect is not None:
        assert rule is not None
        assert (rule.dialect or provider.dialect) is dialect


@pytest.mark.parametrize(
    "host",
    [
        "play.googleapis.com", "oauth2.googleapis.com", "aiplatform.googleapis.com.evil.example", "evil.example",
        "a.b-aiplatform.googleapis.com", "platform.claude.com", "console.anthropic.com", "auth.openai.com",
        "ab.chatgpt.com", "github.com", "api.github.com", "www.minimax.io", "auth.x.ai", "chat.qwen.ai", "models.dev",
        "bedrock-runtime.us-east-1.amazonaws.com", "resource.openai.azure.com",
    ],
)  # fmt: skip
def test_a_host_that_is_not_intercepted(host: str) -> None:
    """Logins, telemetry, and resources that nobody configured."""
    assert REGISTRY.claim(host, 443) == ()


@pytest.mark.parametrize("provider", BUILTIN, ids=lambda provider: provider.name)
def test_every_provider(provider: Provider) -> None:
    """What holds for each table."""
    assert re.fullmatch(r"[a-z0-9-]+", provider.name)
    assert bool(provider.hosts) != provider.needs_base_url
    assert provider.paths and provider.forms
    assert all(name == name.lower() for name in provider.companions)
    for rule in provider.errors:
        assert all(code == code.lower() for code in rule.codes), rule
        for pattern in (rule.text, rule.raw, rule.window, rule.resets, rule.without_headers):
            re.compile(pattern)
    for limit in provider.limits:
        assert "field" in re.compile(limit).groupindex
    for path in provider.websocket_paths:
        rule_for = provider.rule_for("GET", path)
        assert rule_for is not None and rule_for.kind is not C


def provider(name: str) -> Provider:
    found = REGISTRY.get(name)
    assert found is not None
    return found


def test_where_a_credential_goes() -> None:
    anthropic, azure, vertex, zai = (provider(name) for name in ("anthropic", "azure", "vertex", "zai"))
    assert anthropic.auth_for(None, "sk-ant-oat01-x") == BEARER
    assert anthropic.auth_for(None, "sk-ant-api03-x").header == "x-api-key"
    assert azure.auth_for(None, "eyJhbGciOi").header == "authorization"
    assert azure.auth_for(None, "0123456789abcdef").header == "api-key"
    assert vertex.auth_for(None, "ya29.x") == BEARER
    assert vertex.auth_for(None, "AIzaX").header == "x-goog-api-key"
    rule = zai.rule_for("POST", "/api/anthropic/v1/messages")
    assert zai.auth_for(rule, "id.secret", {"x-api-key"}).header == "x-api-key"
    assert zai.auth_for(rule, "id.secret", {"authorization"}) == BEARER
    assert zai.auth_for(zai.rule_for("POST", "/api/paas/v4/chat/completions"), "id.secret") == BEARER
    zen = provider("opencode")
    gemini = zen.rule_for("POST", "/zen/v1/models/g:generateContent")
    assert zen.auth_for(gemini, "sk-x", {"authorization"}).header == "x-goog-api-key"


def test_account_bound_parts() -> None:
    assert provider("codex").account_headers[0] == ("chatgpt-account-id", "account_id")
    assert "chatgpt-account-id" in provider("codex").companions
    assert provider("openai").companions == {"openai-organization", "openai-project"}
    (project, _), (location, _) = provider("vertex").account_path
    path = "/v1/projects/p-1/locations/us-east5/publishers/google/models/g:generateContent"
    assert re.search(project, path)[1] == "p-1"  # type: ignore[index]
    assert re.search(location, path)[1] == "us-east5"  # type: ignore[index]


def windows(name: str, **headers: str) -> tuple[Window, ...]:
    return limits.windows(
        provider(name), {key.replace("_", "-"): value for key, value in headers.items()}, server_now=NOW
    )


def test_windows_of_a_subscription() -> None:
    """Utilization is a fraction in Anthropic's headers (C9), percent in Codex's; those are known by length (C3)."""
    found = windows(
        "anthropic", anthropic_ratelimit_unified_5h_status="allowed", anthropic_ratelimit_unified_5h_utilization="0.94",
        anthropic_ratelimit_unified_5h_reset=str(int(NOW) + 60), anthropic_ratelimit_unified_fallback_percentage="0.5",
    )  # fmt: skip
    assert found == (Window("unified-5h", used_percent=94.0, wait=60.0, status="allowed"),)
    assert found[0].reset_at(NOW) == NOW + 60
    found = windows(
        "codex",
        x_codex_primary_used_percent="12.5",
        x_codex_primary_window_minutes="10080",
        x_codex_primary_reset_at="",
    )
    assert found == (Window("primary", used_percent=12.5, minutes=10080),)


def test_windows_of_keys() -> None:
    found = windows(
        "openai", x_ratelimit_limit_requests="60", x_ratelimit_remaining_requests="59", x_ratelimit_reset_requests="1s"
    )
    assert found == (Window("requests", remaining=59, limit=60, wait=1),)
    found = windows("together", x_ratelimit_limit="10", x_ratelimit_reset="1", x_tokenlimit_remaining="5")
    assert found == (Window("ratelimit", limit=10, wait=1), Window("tokenlimit", remaining=5))
    assert windows("openai", x_ratelimit_limit_requests="many") == ()
    assert windows("gemini", x_ratelimit_limit_requests="60") == ()


def test_copilots_snapshots() -> None:
    """`rem` is percent left (C12); an unlimited quota has none."""
    text = "ent=300&ov=0.0&ovPerm=false&rem=35.5&rst=2026-09-21T15%3A13%3A20Z&totRem=106"
    (found,) = limits.windows(provider("copilot"), {"x-quota-snapshot-premium_interactions": text}, server_now=NOW)
    assert found == Window("premium_interactions", used_percent=64.5, limit=300, wait=3600)
    (found,) = limits.windows(provider("copilot"), {"x-quota-snapshot-chat": "ent=-1&rem=0&ov=0"}, server_now=NOW)
    assert found == Window("chat", status="available") and not found.exhausted
    (found,) = limits.windows(provider("copilot"), {"x-usage-ratelimit-weekly": "rem=0&rst=x"}, server_now=NOW)
    assert found.exhausted and found.name == "weekly"


def test_what_is_used_up() -> None:
    """The provider's own word outranks its numbers."""
    assert Window("w", status="rejected").exhausted
    assert Window("w", remaining=0).exhausted
    assert Window("w", used_percent=100.4).exhausted
    assert not Window("w", status="allowed_warning", used_percent=101).exhausted
    assert not Window("w").exhausted
    quiet = (Window("unified-overage", status="rejected"), Window("unified-7d", status="rejected"))
    assert limits.exhausted(provider("anthropic"), quiet) == quiet[1:]
