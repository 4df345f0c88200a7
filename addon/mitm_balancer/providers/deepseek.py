"""DeepSeek keys on api.deepseek.com: concurrency limits, no headers (wire-facts section 11)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, PathRule, Provider
from mitm_balancer.providers.paths import anthropic_surface, openai_surface

ERRORS = (
    # Concurrency of the account for this model: a slot is free again soon, and no header says when.
    ErrorRule(Verdict.RATE_LIMITED, "concurrency", status=(429,), scope=Scope.MODEL, wait=5),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "overloaded", status=(503,), scope=Scope.PROVIDER, capacity=True),
)  # fmt: skip

PROVIDER = Provider(
    name="deepseek",
    hosts=("api.deepseek.com",),
    dialect=Dialect.OPENAI_CHAT,
    paths=(
        *anthropic_surface("/anthropic/v1"),
        PathRule("/anthropic/*", dialect=Dialect.ANTHROPIC_MESSAGES),
        *openai_surface("/v1"),
        *openai_surface("/beta"),
        *openai_surface(""),
    ),
    errors=ERRORS,
)
