"""Where agents fetch their tokens: the endpoints that answer a login or a refresh with a pair (wire-facts x.6).

Not GitHub's: it answers many programs besides agents, and its tokens are seen on the way to Copilot itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from mitm_balancer.providers.model import Provider
from mitm_balancer.providers.registry import HTTPS_PORT


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """One address of a provider's token service."""

    provider: str
    host: str
    path: str
    clients: frozenset[str] = frozenset()
    """The client ids of the agents; empty: any."""

    def is_of(self, client_id: str) -> bool:
        """Whether an exchange with that client id is an agent's."""
        return not self.clients or client_id in self.clients


_CODEX = frozenset({"app_EMoamEEZ73f0CkXaXp7hrann"})
_GEMINI_CLI = frozenset({"681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"})

ENDPOINTS = (
    TokenEndpoint("anthropic", "platform.claude.com", "/v1/oauth/token"),
    TokenEndpoint("anthropic", "console.anthropic.com", "/v1/oauth/token"),
    TokenEndpoint("anthropic", "api.anthropic.com", "/v1/oauth/token"),
    TokenEndpoint("codex", "auth.openai.com", "/oauth/token", clients=_CODEX),
    TokenEndpoint("codeassist", "oauth2.googleapis.com", "/token", clients=_GEMINI_CLI),
    TokenEndpoint("kimi", "auth.kimi.com", "/api/oauth/token"),
)


def endpoints_at(host: str, port: int) -> tuple[TokenEndpoint, ...]:
    """The token endpoints of a host."""
    name = host.rstrip(".").lower()
    return tuple(one for one in ENDPOINTS if port == HTTPS_PORT and one.host == name)


def endpoint_for(provider: Provider, host: str, port: int, path: str) -> TokenEndpoint | None:
    """The provider's token endpoint at this address; `path` may have a query."""
    here = path.partition("?")[0].rstrip("/")
    return next((one for one in endpoints_at(host, port) if one.path == here and one.provider == provider.name), None)
