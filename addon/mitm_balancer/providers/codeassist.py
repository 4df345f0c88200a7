"""Gemini Code Assist: Google OAuth tokens on cloudcode-pa.googleapis.com (wire-facts section 6)."""

from mitm_balancer.providers.google_errors import ERRORS
from mitm_balancer.providers.model import Dialect, PathRule, Provider

PROVIDER = Provider(
    name="codeassist",
    hosts=("cloudcode-pa.googleapis.com", "daily-cloudcode-pa.googleapis.com"),
    dialect=Dialect.GEMINI,
    paths=(
        PathRule("/v1internal:generateContent"),
        PathRule("/v1internal:streamGenerateContent"),
        PathRule("/v1internal:countTokens"),
    ),
    companions=frozenset({"x-goog-user-project"}),
    account_body=(("project", "project"),),
    errors=ERRORS,
    model_windows=r".",  # its quota is told per model
)
