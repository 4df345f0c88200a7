"""Azure OpenAI and AI Foundry: host, deployment and api-version are the account's own (wire-facts section 14)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers.model import BEARER, Auth, CredentialForm, Dialect, ErrorRule, PathKind, PathRule, Provider
from mitm_balancer.providers.openai import LIMITS
from mitm_balancer.providers.paths import X_API_KEY, anthropic_surface, openai_surface

_BOUND = ("files", "assistants", "threads", "vector_stores", "batches", "fine_tuning", "containers", "conversations")

ERRORS = (
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "no_capacity", status=(424, 429, 503), raw=r"high demand|nocapacity",
        scope=Scope.MODEL, capacity=True,
    ),
    ErrorRule(Verdict.RATE_LIMITED, "rate_limit", status=(429,), codes=("429", "ratelimitreached"), scope=Scope.MODEL),
    # The resource refuses this network, is blocked, or the Entra identity lacks the role: the resource's own trouble.
    ErrorRule(
        Verdict.PERMISSION_FAILURE, status=(401, 403), codes=("permissiondenied",), scope=Scope.ACCOUNT,
        redispatch=True,
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "resource_forbidden", status=(403,), codes=("403", "forbidden"),
        scope=Scope.ACCOUNT, redispatch=True,
    ),
    ErrorRule(
        Verdict.PERMISSION_FAILURE, "resource_blocked", status=(403,), text=r"temporarily blocked",
        scope=Scope.ACCOUNT, redispatch=True,
    ),
)  # fmt: skip

PROVIDER = Provider(
    name="azure",
    hosts=(),
    entries=((Dialect.OPENAI_RESPONSES, "/openai/v1"),),  # the other one wants an api-version
    needs_base_url=True,
    dialect=Dialect.OPENAI_CHAT,
    paths=(
        *anthropic_surface("/anthropic/v1", auth=X_API_KEY),
        PathRule("/openai/responses", dialect=Dialect.OPENAI_RESPONSES),
        PathRule("/openai/responses/*", PathKind.BOUND, Dialect.OPENAI_RESPONSES),
        *(PathRule(f"/openai/{name}*", PathKind.BOUND) for name in _BOUND),
        *(PathRule(f"/openai/v1/{name}*", PathKind.BOUND) for name in _BOUND),
        *openai_surface("/openai/v1", responses=True),
        PathRule("/openai/deployments/*"),
        PathRule("/openai/models", methods=("GET",)),
        PathRule("/openai/realtime"),
    ),
    # An Entra token is a JWT; a resource key is not.
    forms=(CredentialForm(BEARER, match=r"eyJ"), CredentialForm(Auth(header="api-key"))),
    errors=ERRORS,
    limits=LIMITS,
    websocket_paths=("/openai/realtime",),
)
