"""GitHub Copilot: copilot tokens or GitHub tokens on *.githubcopilot.com (wire-facts section 4)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, PathKind, PathRule, Provider
from mitm_balancer.providers.paths import anthropic_surface

ERRORS = (
    # GitHub's or its upstream's capacity, by name not the account's.
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, scope=Scope.MODEL, capacity=True,
        codes=("model_overloaded", "upstream_provider_rate_limit", "integration_rate_limited"),
    ),
    ErrorRule(Verdict.RATE_LIMITED, codes=("user_model_rate_limited",), scope=Scope.MODEL),
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, status=(402, 429),
        codes=(
            "user_weekly_rate_limited", "interaction_weekly_rate_limited", "interaction_session_rate_limited",
            "user_monthly_rate_limited", "quota_exceeded", "free_quota_exceeded", "overage_limit_reached",
            "additional_spend_limit_reached", "session_quota_exceeded", "interaction_monthly_quota_exceeded",
            "interaction_daily_limit_exceeded", "billing_not_configured",
        ),
    ),
    # Premium requests are gone; the plan's included models go on.
    ErrorRule(Verdict.QUOTA_EXHAUSTED, codes=("premium_model_quota_exceeded",), scope=Scope.MODEL),
    # `user_global_rate_limited` may carry the plan's name behind a colon.
    ErrorRule(Verdict.RATE_LIMITED, "user_global_rate_limited", status=(429,), raw=r'"user_global_rate_limited[:"]'),
    ErrorRule(
        Verdict.RATE_LIMITED, status=(429,),
        codes=("rate_limited", "interaction_burst_rate_limited", "agent_mode_limit_exceeded"),
    ),
    ErrorRule(Verdict.AUTH_FAILURE, "token_expired", status=(401, 403), text=r"token expired"),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "no_licence", status=(403,), scope=Scope.ACCOUNT, redispatch=True,
        raw=r"feature_flag_blocked|access denied|not (licensed|authorized)|no access|subscription",
    ),
    ErrorRule(Verdict.REQUEST_FAULT, "client_too_old", status=(466,)),
)  # fmt: skip

PROVIDER = Provider(
    name="copilot",
    hosts=("api.githubcopilot.com", "*.githubcopilot.com"),
    dialect=Dialect.OPENAI_CHAT,
    paths=(
        PathRule("/chat/completions"),
        PathRule("/responses", dialect=Dialect.OPENAI_RESPONSES),
        PathRule("/responses/*", PathKind.BOUND, Dialect.OPENAI_RESPONSES),
        *anthropic_surface("/v1"),
        PathRule("/embeddings"),
        PathRule("/models", methods=("GET",)),
        PathRule("/models/session", methods=("POST",)),
    ),
    companions=frozenset({"copilot-edits-session"}),
    errors=ERRORS,
    limits=(
        r"x-quota-(?P<field>snapshot)-(?P<window>[a-z_]+)",
        r"x-usage-(?P<field>ratelimit)-(?P<window>session|weekly)",
        r"x-ratelimit-(?P<field>remaining|reset)",
    ),
    model_windows=r"^completions$",  # of the editors' ghost text: no model's name holds the word, so it is nobody's
    websocket_paths=("/responses",),
)
