"""Moonshot: two platforms with separate keys, and the Kimi Code subscription (wire-facts section 17)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, PathKind, PathRule, Provider
from mitm_balancer.providers.paths import anthropic_surface, openai_surface

ERRORS = (
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "engine_overloaded", text=r"engine is currently overloaded",
        scope=Scope.MODEL, capacity=True,
    ),
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, codes=("engine_overloaded_error",), scope=Scope.MODEL, capacity=True
    ),
    # The subscription's windows; the billing cycle's end is a 403.
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "usage_limit", status=(403, 429), text=r"reached your usage limit"),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "balance", status=(403,), text=r"\bbalance\b"),
    ErrorRule(Verdict.RATE_LIMITED, "too_many_requests", status=(429,), text=r"too many requests"),
    # About the client, which the balancer never changes: another account says the same.
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "coding_agents_only", status=(403,), text=r"only available for coding agents",
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "access_terminated", status=(403,), text=r"access terminated",
        scope=Scope.ACCOUNT, redispatch=True,
    ),
    ErrorRule(
        Verdict.REQUEST_FAULT, "context_length_exceeded", status=(400,),
        text=r"token length too long|exceeded model token limit",
    ),
)  # fmt: skip

LIMITS = (r"x-ratelimit-(?P<field>limit|remaining|reset)(?:-(?P<window>[a-z0-9-]+))?",)

_PATHS = (
    *anthropic_surface("/anthropic/v1"),
    PathRule("/v1/tokenizers/*"),
    PathRule("/v1/caching*", PathKind.BOUND),
    *openai_surface("/v1"),
)


def _platform(name: str, host: str) -> Provider:
    return Provider(name=name, hosts=(host,), dialect=Dialect.OPENAI_CHAT, paths=_PATHS, errors=ERRORS, limits=LIMITS)


PROVIDER = _platform("moonshot", "api.moonshot.ai")
CHINA = _platform("moonshot-cn", "api.moonshot.cn")

KIMI = Provider(
    name="kimi",
    hosts=("api.kimi.com",),
    dialect=Dialect.OPENAI_CHAT,
    paths=(*anthropic_surface("/coding/v1"), *openai_surface("/coding/v1")),
    errors=ERRORS,
    limits=LIMITS,
)
