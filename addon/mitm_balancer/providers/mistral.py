"""Mistral keys on api.mistral.ai, and Codestral's own keys on its own host (wire-facts section 10)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, PathKind, PathRule, Provider
from mitm_balancer.providers.paths import openai_surface

ERRORS = (
    # By Mistral's staff: back-end capacity, as 429 or as 503, whatever its `type` says.
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "service_tier_capacity", text=r"service tier capacity exceeded",
        scope=Scope.MODEL, capacity=True,
    ),
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "service_tier_capacity", codes=("3505",), scope=Scope.MODEL, capacity=True,
    ),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "monthly_limit", status=(429,), window=r"month"),
    ErrorRule(Verdict.RATE_LIMITED, "rate_limited", status=(429,), codes=("rate_limited", "1300")),
    ErrorRule(Verdict.RATE_LIMITED, "rate_limited", status=(429,), text=r"rate limit exceeded"),
    # The tier does not have the model.
    ErrorRule(Verdict.PERMISSION_FAILURE, "tier", status=(403,), scope=Scope.MODEL, redispatch=True),
)  # fmt: skip

# Three generations of names (C16): by requests and tokens, by size, by size and period.
LIMITS = (
    r"x-ratelimit-(?P<field>limit|remaining|reset)-(?P<window>[a-z0-9-]+)",
    r"(?:x-)?ratelimitbysize-(?P<field>limit|remaining|reset)(?:-(?P<window>[a-z0-9-]+))?",
)

PROVIDER = Provider(
    name="mistral",
    hosts=("api.mistral.ai",),
    dialect=Dialect.OPENAI_CHAT,
    paths=(
        PathRule("/v1/fim/completions"),
        PathRule("/v1/agents/completions"),
        PathRule("/v1/agents*", PathKind.BOUND),
        PathRule("/v1/conversations*", PathKind.BOUND),
        PathRule("/v1/libraries*", PathKind.BOUND),
        PathRule("/v1/batch/*", PathKind.BOUND),
        PathRule("/v1/ocr"),
        *openai_surface("/v1"),
    ),
    errors=ERRORS,
    limits=LIMITS,
)

CODESTRAL = Provider(
    name="codestral",
    hosts=("codestral.mistral.ai",),
    dialect=Dialect.OPENAI_CHAT,
    paths=(PathRule("/v1/fim/completions"), *openai_surface("/v1")),
    errors=ERRORS,
    limits=LIMITS,
)
