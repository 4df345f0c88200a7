"""OpenRouter: one key, three dialects by path (wire-facts section 8)."""

from mitm_balancer.providers.model import Dialect, PathKind, PathRule, Provider

PROVIDER = Provider(
    name="openrouter",
    hosts=("openrouter.ai",),
    dialect=Dialect.OPENAI_CHAT,
    paths=(
        PathRule("/api/v1/chat/completions"),
        PathRule("/api/v1/completions"),
        PathRule("/api/v1/responses", dialect=Dialect.OPENAI_RESPONSES),
        PathRule("/api/v1/messages", dialect=Dialect.ANTHROPIC_MESSAGES),
        PathRule("/api/v1/messages/count_tokens", dialect=Dialect.ANTHROPIC_MESSAGES),
        PathRule("/api/v1/embeddings"),
        PathRule("/api/v1/models", methods=("GET",)),
        PathRule("/api/v1/models/*", methods=("GET",)),
        PathRule("/api/v1/generation", PathKind.BOUND),
    ),
)
