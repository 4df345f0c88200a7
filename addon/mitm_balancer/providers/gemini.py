"""Google Gemini API keys (AI Studio) on generativelanguage.googleapis.com (wire-facts section 5)."""

from mitm_balancer.providers.google_errors import ERRORS
from mitm_balancer.providers.model import Auth, CredentialForm, Dialect, PathKind, PathRule, Provider

PROVIDER = Provider(
    name="gemini",
    hosts=("generativelanguage.googleapis.com",),
    dialect=Dialect.GEMINI,
    paths=(
        PathRule("/v1*/openai/*", dialect=Dialect.OPENAI_CHAT),
        PathRule("/v1*/models", methods=("GET",)),
        PathRule("/v1*/models/*"),
        PathRule("/v1*/interactions"),
        PathRule("/v1*/interactions/*", PathKind.BOUND),
        PathRule("/v1*/files*", PathKind.BOUND),
        PathRule("/upload/v1*/files*", PathKind.BOUND),
        PathRule("/v1*/cachedContents*", PathKind.BOUND),
        PathRule("/v1*/tunedModels*", PathKind.BOUND),
        PathRule("/v1*/batches*", PathKind.BOUND),
    ),
    forms=(CredentialForm(Auth(header="x-goog-api-key")),),
    companions=frozenset({"x-goog-user-project"}),
    errors=ERRORS,
    entries=((Dialect.GEMINI, "/v1beta"), (Dialect.OPENAI_CHAT, "/v1beta/openai")),
)
