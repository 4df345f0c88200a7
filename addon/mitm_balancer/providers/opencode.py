"""OpenCode Zen and Go on opencode.ai: one key, four dialects by path (wire-facts section 21)."""

from mitm_balancer.core.verdict import Verdict
from mitm_balancer.providers.model import Auth, Dialect, ErrorRule, PathKind, PathRule, Provider
from mitm_balancer.providers.paths import X_API_KEY, anthropic_surface, openai_surface

ERRORS = (
    # Billing and unknown models are 401 here: the class name decides.
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED,
        codes=(
            "creditserror", "monthlylimiterror", "userlimiterror", "freeusagelimiterror", "gousagelimiterror",
            "blackusagelimiterror", "subscriptionusagelimiterror", "subscriptionerror",
        ),
    ),
    ErrorRule(Verdict.MODEL_UNAVAILABLE, codes=("modelerror", "modelaccesserror")),
    ErrorRule(Verdict.AUTH_FAILURE, codes=("autherror",)),
)  # fmt: skip


def _plan(prefix: str) -> tuple[PathRule, ...]:
    return (
        *anthropic_surface(prefix, auth=X_API_KEY, mirror=True),
        PathRule(f"{prefix}/models/*:*", dialect=Dialect.GEMINI, auth=Auth(header="x-goog-api-key")),
        *openai_surface(prefix, responses=True),
    )


PROVIDER = Provider(
    name="opencode",
    hosts=("opencode.ai",),
    dialect=Dialect.OPENAI_CHAT,
    paths=(PathRule("/zen/go/v1/usage", PathKind.CONTROL), *_plan("/zen/go/v1"), *_plan("/zen/v1")),
    errors=ERRORS,
    entries=tuple((dialect, "/zen/v1") for dialect in Dialect),  # the Go plan has its own: state it as `base_url`
)
