"""xAI keys on api.x.ai, and the Grok subscription's OAuth tokens on its own host (wire-facts section 12)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, Provider
from mitm_balancer.providers.openai import LIMITS
from mitm_balancer.providers.paths import anthropic_surface, openai_surface

ERRORS = (
    # An expired token is a 403 here: refresh, do not ban.
    ErrorRule(
        Verdict.AUTH_FAILURE, "bad_credentials", status=(400, 401, 403),
        raw=r"bad-credentials|token could not be validated",
    ),
    ErrorRule(Verdict.AUTH_FAILURE, "incorrect_api_key", status=(400,), text=r"(incorrect|invalid) api key"),
    # A day's free usage of the subscription.
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "free_usage_exhausted", status=(429,), codes=("subscription:free-usage-exhausted",),
        wait=86_400,
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "blocked", status=(403,),
        text=r"(api key|team|account)\b.{0,80}\b(blocked|disabled)",
        scope=Scope.ACCOUNT, redispatch=True,
    ),
)  # fmt: skip

PROVIDER = Provider(
    name="xai",
    hosts=("api.x.ai",),
    dialect=Dialect.OPENAI_CHAT,
    paths=(*anthropic_surface("/v1"), *openai_surface("/v1", responses=True)),
    errors=ERRORS,
    limits=LIMITS,
)

GROK = Provider(
    name="grok",
    hosts=("cli-chat-proxy.grok.com",),
    dialect=Dialect.OPENAI_CHAT,
    paths=(*anthropic_surface("/v1"), *openai_surface("/v1", responses=True)),
    errors=ERRORS,
    limits=LIMITS,
)
