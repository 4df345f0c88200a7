"""OpenAI platform keys on api.openai.com (wire-facts section 2)."""

from mitm_balancer.core.verdict import Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, PathKind, PathRule, Provider

# x-ratelimit-reset-requests, x-ratelimit-remaining-project-tokens, ...: also the form of most compatible hosts.
LIMITS = (r"x-ratelimit-(?P<field>limit|remaining|reset)-(?P<window>[a-z0-9-]+)",)

ERRORS = (ErrorRule(Verdict.REQUEST_FAULT, "bad_image", status=(400,), codes=("invalid_value",)),)

PROVIDER = Provider(
    name="openai",
    hosts=("api.openai.com", "*.api.openai.com"),
    dialect=Dialect.OPENAI_CHAT,
    paths=(
        PathRule("/v1/responses", dialect=Dialect.OPENAI_RESPONSES),
        PathRule("/v1/responses/compact", dialect=Dialect.OPENAI_RESPONSES),
        PathRule("/v1/responses/input_tokens", dialect=Dialect.OPENAI_RESPONSES),
        PathRule("/v1/responses/*", PathKind.BOUND, Dialect.OPENAI_RESPONSES),
        PathRule("/v1/chat/completions", methods=("POST",)),
        PathRule("/v1/chat/completions*", PathKind.BOUND),
        PathRule("/v1/completions"),
        PathRule("/v1/embeddings"),
        PathRule("/v1/images/*"),
        PathRule("/v1/audio/*"),
        PathRule("/v1/moderations"),
        PathRule("/v1/realtime"),
        PathRule("/v1/models", methods=("GET",)),
        PathRule("/v1/models/*", methods=("GET",)),
        PathRule("/v1/conversations*", PathKind.BOUND),
        PathRule("/v1/files*", PathKind.BOUND),
        PathRule("/v1/batches*", PathKind.BOUND),
        PathRule("/v1/vector_stores*", PathKind.BOUND),
        PathRule("/v1/containers*", PathKind.BOUND),
        PathRule("/v1/uploads*", PathKind.BOUND),
        PathRule("/v1/assistants*", PathKind.BOUND),
        PathRule("/v1/threads*", PathKind.BOUND),
        PathRule("/v1/fine_tuning*", PathKind.BOUND),
    ),
    companions=frozenset({"openai-organization", "openai-project"}),
    errors=ERRORS,
    limits=LIMITS,
    websocket_paths=("/v1/responses", "/v1/realtime"),
)
