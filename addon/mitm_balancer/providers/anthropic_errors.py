"""Anthropic's refusals as data: which 429 is the account's, which the model's, which nobody's (wire-facts 1.3, 1.4)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import ErrorRule

LIMITS = (
    # Subscription: unified-5h-status, unified-7d_oi-reset, ...; then the representative one: unified-status.
    r"anthropic-ratelimit-(?P<window>unified-[a-z0-9_]+)-(?P<field>status|reset|utilization)",
    r"anthropic-ratelimit-(?P<window>unified)-(?P<field>status|reset)",
    # API key: requests, tokens, input-tokens, output-tokens, priority-input-tokens, fast-mode families.
    r"anthropic-ratelimit-(?P<window>(?!unified)[a-z0-9-]+?)-(?P<field>limit|remaining|reset)",
)
# Everything but the two windows of the whole plan: 7d_oi, 7d_opus, 7d_sonnet, ...
MODEL_WINDOWS = r"^unified-(?!5h$|7d$|overage$)"
QUIET_WINDOWS = r"^unified-(overage|fallback)$"

_ACCOUNT_WINDOWS = r"^unified-(5h|7d)$"
_CLAIM = "anthropic-ratelimit-unified-representative-claim"

ERRORS = (
    # 429 of a subscription: the plan's windows, then a model's, then what only this request asked for.
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "plan_window_rejected", status=(429,), window=_ACCOUNT_WINDOWS, scope=Scope.ACCOUNT,
    ),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "model_window_rejected", status=(429,), window=MODEL_WINDOWS, scope=Scope.MODEL),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "extra_usage_required", status=(429,), text=r"extra usage",
        scope=Scope.REQUEST, redispatch=True,
    ),
    # Without a rejected plan window this is about the model or a beta (context-1m): fail over, bench nobody.
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "out_of_credits", status=(429,), scope=Scope.REQUEST,
        header=("anthropic-ratelimit-unified-overage-disabled-reason", r"^out_of_credits$"),
    ),
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "model_window_rejected", status=(429,), window=r"^unified$",
        header=(_CLAIM, r"^seven_day_\w"), scope=Scope.MODEL,
    ),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "plan_window_rejected", status=(429,), window=r"^unified$"),
    # A spending cap of the workspace: gone until its month ends or its owner raises it.
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "spend_limit", status=(429,), codes=("enforced_spend_limit_reached",)),
    # C20: neither a limit header nor retry-after: capacity for this model or request, not the account.
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "bare_429", status=(429,), scope=Scope.MODEL, capacity=True,
        without_headers=r"^anthropic-ratelimit-|^x-ratelimit-|^retry-after",
    ),
    # Headers are there but none says until when: better-ccflare benches such an account for 60 s.
    ErrorRule(Verdict.RATE_LIMITED, "rate_limit_error", status=(429,), wait=60),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, codes=("overloaded_error",), scope=Scope.PROVIDER, capacity=True),
    # 400s and 403s that are the account's.
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "organization_disabled", status=(400, 403),
        text=r"organization has been disabled", scope=Scope.ACCOUNT, redispatch=True,
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "oauth_not_allowed", status=(403,),
        text=r"oauth authentication is currently not allowed", scope=Scope.ACCOUNT, redispatch=True,
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "claude_code_only", status=(400, 403), redispatch=True,
        text=r"only authorized for use with claude code|cannot be used for other api requests",
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "scope_missing", status=(403,), text=r"scope requirement|user:profile",
        redispatch=True,
    ),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "extra_usage_empty", status=(400,), text=r"extra usage", scope=Scope.REQUEST),
    ErrorRule(Verdict.REQUEST_FAULT, "invalid_signature", status=(400,), text=r"invalid\W+signature\W+in\W+thinking"),
)  # fmt: skip
