"""Google Vertex AI: the project in the path belongs to the account (wire-facts section 7)."""

from mitm_balancer.core.verdict import Scope, Verdict
from mitm_balancer.providers import google_errors
from mitm_balancer.providers.model import BEARER, Auth, CredentialForm, Dialect, ErrorRule, PathRule, Provider

_LOCATION = "/v1*/projects/*/locations/*"

ERRORS = (
    # Pay-go shared capacity: by Google's own table not counted against the project.
    ErrorRule(
        Verdict.TRANSIENT_SERVER_FAILURE, "shared_capacity", status=(429,), scope=Scope.MODEL, capacity=True,
        text=r"^resource exhausted, please try again",
    ),
    ErrorRule(
        Verdict.RATE_LIMITED, "provisioned_throughput", status=(429,), text=r"exceeded the provisioned throughput",
        scope=Scope.MODEL,
    ),
    ErrorRule(
        Verdict.RATE_LIMITED, "project_quota", status=(429,), text=r"quota exceeded for aiplatform",
        scope=Scope.MODEL, wait=60,
    ),
    # The model is not enabled for this project or in this region.
    ErrorRule(Verdict.MODEL_UNAVAILABLE, status=(404,), codes=("not_found",)),
    *google_errors.ERRORS,
)  # fmt: skip

PROVIDER = Provider(
    name="vertex",
    hosts=("aiplatform.googleapis.com", "*-aiplatform.googleapis.com", "aiplatform.*.rep.googleapis.com"),
    dialect=Dialect.GEMINI,
    paths=(
        PathRule(f"{_LOCATION}/publishers/anthropic/models/*:*", dialect=Dialect.ANTHROPIC_MESSAGES),
        PathRule(f"{_LOCATION}/publishers/*/models/*:*"),
        PathRule(f"{_LOCATION}/endpoints/openapi/*", dialect=Dialect.OPENAI_CHAT),
        PathRule("/v1*/publishers/google/models/*:*"),
    ),
    # Express mode has API keys; everything else is a Google access token.
    forms=(CredentialForm(Auth(header="x-goog-api-key"), match=r"AIza|AQ\."), CredentialForm(BEARER)),
    companions=frozenset({"x-goog-user-project"}),
    account_path=((r"/projects/([^/]+)/", "project"), (r"/locations/([^/]+)/", "location")),
    errors=ERRORS,
)
