"""The error rows that hold for every provider: the well-known codes of the four dialects, then the statuses.

A provider's own rows come first (`Provider.errors`); then these codes, because the body decides before the status does;
then what the status alone says (DESIGN section 5, anchors 2.2). Custom providers have only these.
"""

from __future__ import annotations

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import ErrorRule

CODES: tuple[ErrorRule, ...] = (
    # Capacity: the provider's trouble, whatever its status (wire-facts 16.3).
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE,
        codes=(
            "overloaded_error", "server_is_overloaded", "slow_down", "engine_overloaded_error", "model_overloaded",
            "capacity_exceeded", "provider_overloaded", "nocapacity", "modelnotreadyexception",
            "service_unavailable_exception", "model_capacity_exhausted", "model_capacity_exceeded",
        ),
        capacity=True,
    ),
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "model_at_capacity", text=r"selected model is at capacity", capacity=True,
    ),
    # The request's own fault, by a code that some providers send with odd statuses.
    ErrorRule(
        Verdict.REQUEST_FAULT,
        codes=(
            "context_length_exceeded", "context_window_exceeded", "context_too_large", "request_too_large",
            "invalid_encrypted_content", "previous_response_not_found", "model_max_prompt_tokens_exceeded",
            "string_above_max_length", "unsupported_parameter", "unknown_parameter", "missing_required_parameter",
        ),
    ),
    ErrorRule(
        Verdict.POLICY_FAILURE,
        codes=(
            "cyber_policy", "bio_policy", "invalid_prompt", "content_policy_violation",
            "image_content_policy_violation",
            "content_filter", "responsibleaipolicyviolation", "datainspectionfailed", "data_inspection_failed",
        ),
    ),
    ErrorRule(
        Verdict.REGION_RESTRICTION,
        codes=("unsupported_country_region_territory", "regionerror", "data_residency_mismatch"),
    ),
    ErrorRule(Verdict.REGION_RESTRICTION, "unsupported_location", text=r"user location is not supported"),
    # Money and plan windows.
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED,
        codes=(
            "insufficient_quota", "billing_hard_limit_reached", "exceeded_current_quota_error", "billing_error",
            "quota_exceeded", "quota_exhausted", "usage_limit_reached", "usage_not_included", "insufficient_balance",
            "enforced_spend_limit_reached", "billing_not_active", "payment_required", "insufficient_g1_credits_balance",
        ),
    ),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "low_credit", text=r"credit balance is too low|insufficient (balance|credits)"),
    # The credential.
    ErrorRule(
        Verdict.AUTH_FAILURE,
        codes=(
            "authentication_error", "invalid_api_key", "invalid_authentication_error", "incorrect_api_key_error",
            "api_key_invalid", "unauthenticated", "token_invalidated", "oauth_token_revoked", "token_revoked",
            "token_expired", "expired_token", "invalid_token", "account_deactivated", "wrong_api_key", "invalidapikey",
            "expiredtokenexception", "unrecognizedclientexception", "invalidsignatureexception",
        ),
    ),
    ErrorRule(
        Verdict.MODEL_UNAVAILABLE,
        codes=("model_not_found", "model_not_supported", "deploymentnotfound", "modelnotfound", "modelerror"),
    ),
    ErrorRule(Verdict.MODEL_UNAVAILABLE, "model_not_found", status=(404,), text=r"\bmodels?\b"),
    ErrorRule(
        Verdict.RATE_LIMITED,
        codes=(
            "rate_limit_exceeded", "rate_limited", "too_many_requests", "resource_exhausted", "ratelimitreached",
            "rate_limit_reached_error", "throttlingexception", "ratelimiterror",
        ),
    ),
    ErrorRule(Verdict.RATE_LIMITED, status=(429,), codes=("rate_limit_error", "requests", "tokens")),
)  # fmt: skip

# What a bare 429 lacks: any header that speaks of a limit.
LIMIT_HEADERS = r"ratelimit|tokenlimit|^retry-after|^x-codex-|^x-quota-"

STATUSES: tuple[ErrorRule, ...] = (
    # A challenge page is about the connection, not about an account: another credential does not cure it.
    ErrorRule(Verdict.PERMISSION_FAILURE, "cloudflare_challenge", status=(403, 429, 503), header=("cf-mitigated", "")),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "cloudflare_challenge", status=(403, 429, 503), raw=r"_cf_chl|<title>just a moment"
    ),
    ErrorRule(
        Verdict.REQUEST_FAULT, "context_length_exceeded", status=(400, 413),
        text=r"prompt is too long|context (length|window)",
    ),
    ErrorRule(Verdict.AUTH_FAILURE, "unauthorized", status=(401,)),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "payment_required", status=(402,)),
    # Whose fault a 403 is only a provider's own row can tell: no account is benched for what may be the request's.
    ErrorRule(Verdict.PERMISSION_FAILURE, "forbidden", status=(403,)),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "timeout", status=(408, 425, 499)),
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "bare_429", status=(429,), without_headers=LIMIT_HEADERS, text=r"^.{0,40}$",
        scope=Scope.MODEL, capacity=True,
    ),
    ErrorRule(Verdict.RATE_LIMITED, "too_many_requests", status=(429,)),
    ErrorRule(Verdict.REGION_RESTRICTION, "unavailable_for_legal_reasons", status=(451,)),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "failed_dependency", status=(424,)),
    ErrorRule(Verdict.REQUEST_FAULT, "not_implemented", status=(501, 505)),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "overloaded", status=(529,), capacity=True),
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, "server_error", status=tuple(range(500, 600))),
    ErrorRule(Verdict.REQUEST_FAULT, "bad_request", status=tuple(range(400, 500))),
)  # fmt: skip

STATUS_OF_CODE: dict[str, int] = {
    "invalid_request_error": 400, "invalid_argument": 400, "failed_precondition": 400, "invalid_request": 400,
    "authentication_error": 401, "unauthenticated": 401,
    "billing_error": 402,
    "permission_error": 403, "permission_denied": 403,
    "not_found_error": 404, "not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429, "rate_limit_exceeded": 429, "resource_exhausted": 429, "rate_limited": 429,
    "api_error": 500, "server_error": 500, "internal": 500, "internal_server_error": 500,
    "unavailable": 503, "timeout_error": 504, "deadline_exceeded": 504,
    "overloaded_error": 529,
}  # fmt: skip
"""The status that an error inside a 200 stream would have had, for the rows that ask for one."""
