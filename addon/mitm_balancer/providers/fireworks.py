"""Fireworks keys on api.fireworks.ai (wire-facts section 13)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, Provider
from mitm_balancer.providers.paths import anthropic_surface, openai_surface

ERRORS = (
    ErrorRule(Verdict.PERMISSION_FAILURE, "account_suspended", status=(412,), scope=Scope.ACCOUNT, redispatch=True),
    # Missing, or not permitted to this account.
    ErrorRule(Verdict.MODEL_UNAVAILABLE, "model_not_found", status=(404,)),
)  # fmt: skip

PROVIDER = Provider(
    name="fireworks",
    hosts=("api.fireworks.ai",),
    dialect=Dialect.OPENAI_CHAT,
    paths=(*anthropic_surface("/inference/v1"), *openai_surface("/inference/v1", responses=True)),
    errors=ERRORS,
    limits=(
        r"x-ratelimit-(?P<field>over-limit)",
        r"x-ratelimit-(?P<field>limit|remaining)-(?P<window>[a-z-]+)",
    ),
)
