"""Together keys: dynamic limits per organisation and model (wire-facts section 13)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, Provider
from mitm_balancer.providers.paths import openai_surface

ERRORS = (
    # The reset headers are the suggested retry interval, whether or not anything is left.
    ErrorRule(
        Verdict.RATE_LIMITED, status=(429,), codes=("dynamic_request_limited", "dynamic_token_limited"),
        scope=Scope.MODEL, resets=r"limit",
    ),
    # The platform's capacity, not yours.
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "platform_capacity", status=(503,), scope=Scope.MODEL, capacity=True),
    # 403 is "context too long" here.
    ErrorRule(Verdict.REQUEST_FAULT, "context_length_exceeded", status=(403,)),
)  # fmt: skip

PROVIDER = Provider(
    name="together",
    hosts=("api.together.xyz", "api.together.ai"),
    dialect=Dialect.OPENAI_CHAT,
    paths=openai_surface("/v1"),
    errors=ERRORS,
    limits=(r"x-(?P<window>ratelimit|tokenlimit)-(?P<field>limit|remaining|reset)(?:-dynamic)?",),
)
