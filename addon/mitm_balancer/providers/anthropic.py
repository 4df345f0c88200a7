"""Anthropic: API keys and OAuth tokens on api.anthropic.com (wire-facts section 1)."""

from mitm_balancer.providers.anthropic_errors import ERRORS, LIMITS, MODEL_WINDOWS, QUIET_WINDOWS
from mitm_balancer.providers.model import BEARER, Auth, CredentialForm, Dialect, PathKind, PathRule, Provider

PROVIDER = Provider(
    name="anthropic",
    hosts=("api.anthropic.com",),
    dialect=Dialect.ANTHROPIC_MESSAGES,
    paths=(
        PathRule("/v1/messages/batches*", PathKind.BOUND),
        PathRule("/v1/messages"),
        PathRule("/v1/messages/count_tokens"),
        PathRule("/v1/complete"),
        PathRule("/v1/models", methods=("GET",)),
        PathRule("/v1/models/*", methods=("GET",)),
        PathRule("/v1/files*", PathKind.BOUND),
        PathRule("/v1/skills*", PathKind.BOUND),
    ),
    forms=(
        CredentialForm(BEARER, match=r"sk-ant-oat", add_tokens=(("anthropic-beta", "oauth-2025-04-20"),)),
        CredentialForm(Auth(header="x-api-key"), drop_tokens=(("anthropic-beta", "oauth-2025-04-20"),)),
    ),
    account_body=(("metadata.user_id", "account_uuid"),),
    companions=frozenset({"anthropic-workspace-id"}),
    errors=ERRORS,
    limits=LIMITS,
    model_windows=MODEL_WINDOWS,
    quiet_windows=QUIET_WINDOWS,
    origin="https://api.anthropic.com",
)
