"""Cerebras keys on api.cerebras.ai: limits per organisation and model (wire-facts section 13)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, Provider
from mitm_balancer.providers.openai import LIMITS
from mitm_balancer.providers.paths import openai_surface

_LIMITED = ("token_quota_exceeded", "request_quota_exceeded", "too_many_tokens_error")

ERRORS = (
    # High traffic: capacity, although its type says too many requests.
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, codes=("queue_exceeded",), scope=Scope.MODEL, capacity=True),
    # Only the text tells the day from the minute; the bucket is charged ahead, so nothing need stand at zero.
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "daily_limit", status=(429,), codes=_LIMITED, text=r"per day", scope=Scope.MODEL,
        resets=r"day",
    ),
    ErrorRule(Verdict.RATE_LIMITED, status=(429,), codes=_LIMITED, scope=Scope.MODEL, resets=r"minute"),
)  # fmt: skip

PROVIDER = Provider(
    name="cerebras",
    hosts=("api.cerebras.ai",),
    dialect=Dialect.OPENAI_CHAT,
    paths=openai_surface("/v1"),
    errors=ERRORS,
    limits=LIMITS,
)
