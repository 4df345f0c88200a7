"""The Google error envelope as data: AI Studio keys, Code Assist and Vertex share it (wire-facts 5.3, 5.4, 6.3, 7.3).

Google sends no limit headers: quota ids, reasons and RetryInfo stand in `error.details`.
"""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import ErrorRule

# The day of Gemini's daily quotas ends at midnight Pacific time.
PACIFIC = "America/Los_Angeles"

ERRORS = (
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "model_capacity", scope=Scope.MODEL, capacity=True,
        codes=("model_capacity_exhausted", "model_capacity_exceeded"),
    ),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, status=(429, 402), codes=("insufficient_g1_credits_balance",)),
    # Code Assist: the plan window of this model, with its reset in the metadata.
    ErrorRule(Verdict.QUOTA_EXHAUSTED, status=(429,), codes=("quota_exhausted",), scope=Scope.MODEL),
    # `limit: 0`: the model is not in this account's tier; no wait cures that.
    ErrorRule(Verdict.MODEL_UNAVAILABLE, "not_in_tier", status=(429,), text=r"\blimit:\s*0\b(?![.\d])"),
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "daily_quota", status=(429,), raw=r"quotaId\W{1,6}[\w-]{0,200}?(PerDay|Daily)",
        scope=Scope.MODEL, until_midnight=PACIFIC,
    ),
    ErrorRule(
        Verdict.RATE_LIMITED, "minute_quota", status=(429,), raw=r"quotaId\W{1,6}[\w-]{0,200}?PerMinute",
        scope=Scope.MODEL, wait=60,
    ),
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "capacity_used_up", status=(429,), text=r"exhausted your capacity on this model",
        scope=Scope.MODEL,
    ),
    # 10 s: what gemini-cli waits when a short throttle names no delay.
    ErrorRule(Verdict.RATE_LIMITED, status=(429,), codes=("rate_limit_exceeded",), scope=Scope.MODEL, wait=10),
    ErrorRule(Verdict.RATE_LIMITED, status=(429,), codes=("resource_exhausted",), wait=60),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "prepaid_credit_empty", status=(402,)),
    # An invalid key is a 400 here.
    ErrorRule(
        Verdict.AUTH_FAILURE, "api_key_invalid", status=(400, 401, 403), text=r"api key not valid|api key expired",
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "validation_required", status=(403,), codes=("validation_required",),
        scope=Scope.ACCOUNT, redispatch=True,
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "unsupported_client", codes=("unsupported_client", "ineligibletiererror"),
        scope=Scope.ACCOUNT, redispatch=True,
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, status=(403,),
        codes=("service_disabled", "consumer_suspended", "security_policy_violated"),
        scope=Scope.ACCOUNT, redispatch=True,
    ),
    # A leaked or blocked key, or the API switched off for its project: the account's, by the provider's table.
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "permission_denied", status=(403,), codes=("permission_denied",),
        scope=Scope.ACCOUNT, redispatch=True,
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "billing_required", status=(400,), codes=("failed_precondition",),
        text=r"billing|free tier", scope=Scope.ACCOUNT, redispatch=True,
    ),
    ErrorRule(Verdict.REQUEST_FAULT, "context_length_exceeded", status=(400,), text=r"token count.{0,80}exceeds"),
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, status=(503,), codes=("unavailable",), scope=Scope.MODEL, capacity=True
    ),
)  # fmt: skip
