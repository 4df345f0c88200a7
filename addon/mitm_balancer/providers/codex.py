"""The Codex backend of a ChatGPT subscription: OAuth tokens on chatgpt.com (wire-facts section 3)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import Dialect, ErrorRule, PathKind, PathRule, Provider

_REACHED = ("usage_limit_reached",)

ERRORS = (
    # The active limit names a metered model's own window (codex_bengalfox), or the plan's (codex).
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "model_usage_limit", codes=_REACHED, header=("x-codex-active-limit", r"^codex[_-]\w"),
        scope=Scope.MODEL,
    ),
    ErrorRule(
        Verdict.QUOTA_EXHAUSTED, "workspace_limit", codes=_REACHED, scope=Scope.ACCOUNT,
        header=("x-codex-rate-limit-reached-type", r"^workspace_"),
    ),
    # C5: `usage_limit_reached` alone decides by the code (a common row), not by the status: 429, 403 and 404 were seen.
    ErrorRule(
        Verdict.MODEL_UNAVAILABLE, "model_not_for_chatgpt", text=r"model is not supported when using codex",
        scope=Scope.MODEL,
    ),
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "model_at_capacity", text=r"selected model is at capacity",
        scope=Scope.MODEL, capacity=True,
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, codes=("deactivated_workspace",), scope=Scope.ACCOUNT, redispatch=True
    ),
    # Not the account's: the socket is 60 minutes old, the client reconnects.
    ErrorRule(Verdict.TRANSIENT_SERVER_FAILURE, codes=("websocket_connection_limit_reached",), scope=Scope.REQUEST),
    ErrorRule(
        Verdict.AUTH_FAILURE, "authorization_error", status=(401, 403), header=("x-openai-authorization-error", ""),
    ),
    ErrorRule(Verdict.QUOTA_EXHAUSTED, "plan_window_used_up", status=(429,), window=r"."),
)  # fmt: skip

PROVIDER = Provider(
    name="codex",
    hosts=("chatgpt.com",),
    dialect=Dialect.OPENAI_RESPONSES,
    paths=(
        PathRule("/backend-api/codex/analytics-events*", PathKind.CONTROL),
        PathRule("/backend-api/codex/responses"),
        PathRule("/backend-api/codex/responses/compact"),
        PathRule("/backend-api/codex/responses/*", PathKind.BOUND),
        PathRule("/backend-api/codex/models", methods=("GET",)),
        PathRule("/backend-api/codex/alpha/search"),
        PathRule("/backend-api/codex/memories/trace_summarize"),
        PathRule("/backend-api/codex/images/*"),
        PathRule("/backend-api/codex/realtime/calls"),
    ),
    companions=frozenset({"chatgpt-account-id", "x-openai-fedramp", "x-openai-account-routing-override"}),
    account_headers=(("chatgpt-account-id", "account_id"), ("x-openai-fedramp", "fedramp")),
    errors=ERRORS,
    limits=(
        # x-codex-primary-used-percent; a metered model's own: x-codex-bengalfox-primary-used-percent (C3, C4).
        r"x-codex-(?P<window>(?:[a-z0-9_-]+-)?(?:primary|secondary))"
        r"-(?P<field>used-percent|window-minutes|reset-at|reset-after-seconds)",
        r"x-codex-(?P<window>5h|7d)-(?P<field>reset-at)",
    ),
    # `secondary-primary` is one source's name of the plan's second window (C4).
    model_windows=r"^(?!(secondary-)?primary$|secondary$|5h$|7d$)",
    origin="https://chatgpt.com",
    websocket_paths=("/backend-api/codex/responses",),
)
