"""OpenRouter: one key, three dialects by path (wire-facts section 8)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, PathKind, PathRule, Provider

ERRORS = (
    # Free models: a day's calls of the account, gone until 00:00 UTC; paid models go on.
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "free_models_per_day", status=(429,), codes=("openrouter_free_tier_daily",),
        scope=Scope.MODEL, until_midnight="UTC",
    ),
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "free_models_per_day", status=(429,), text=r"free-models-per-day",
        scope=Scope.MODEL, until_midnight="UTC",
    ),
    ErrorRule(
        Verdict.RATE_LIMITED, "free_models_per_min", status=(429,), text=r"free-models-per-min", scope=Scope.MODEL,
        wait=60,
    ),
    # OpenRouter's or its upstream's own capacity: not this account.
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "shared_capacity", codes=("openrouter_shared_capacity",),
        scope=Scope.MODEL, capacity=True,
    ),
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "shared_capacity", status=(429,), text=r"^high demand for ",
        scope=Scope.MODEL, capacity=True,
    ),
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "upstream_provider", status=(429, 500, 502, 503, 529),
        text=r"^provider returned error", scope=Scope.MODEL, capacity=True,
    ),
    # 402 with retry-after is a reservation of credits for calls in flight: it comes back by itself.
    ErrorRule(Verdict.RATE_LIMITED, "in_flight_budget", status=(402,), codes=("openrouter_in_flight_budget",)),
    ErrorRule(Verdict.RATE_LIMITED, "in_flight_budget", status=(402,), header=("retry-after", "")),
    ErrorRule(Verdict.POLICY_FAILURE, "moderation", status=(403,), raw=r'"(flagged_input|reasons)"|guardrail'),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "no_provider", status=(502, 503), scope=Scope.MODEL, capacity=True),
)  # fmt: skip

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
    errors=ERRORS,
    limits=(r"x-ratelimit-(?P<field>limit|remaining|reset)",),
)
