"""Groq keys on api.groq.com; limits are the organisation's, per model (wire-facts section 9)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, Provider
from mitm_balancer.providers.openai import LIMITS
from mitm_balancer.providers.paths import openai_surface

ERRORS = (
    # The flex tier has no capacity.
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "capacity_exceeded", status=(498,), scope=Scope.MODEL, capacity=True),
    # One request above the tokens of a whole minute: no wait and no second try cures it.
    ErrorRule(Verdict.REQUEST_FAULT, "request_too_large", status=(413,)),
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "daily_limit", status=(429,), text=r"per day|\b[TR]PD\b", scope=Scope.MODEL
    ),
    ErrorRule(
        Verdict.RATE_LIMITED, status=(429,), codes=("rate_limit_exceeded", "tokens", "requests"), scope=Scope.MODEL,
    ),
)  # fmt: skip

PROVIDER = Provider(
    name="groq",
    hosts=("api.groq.com",),
    dialect=Dialect.OPENAI_CHAT,
    paths=openai_surface("/openai/v1", responses=True),
    errors=ERRORS,
    limits=LIMITS,
)
