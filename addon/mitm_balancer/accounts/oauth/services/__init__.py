"""The token services, one file each."""

from __future__ import annotations

from mitm_balancer.accounts.oauth.service import TokenService
from mitm_balancer.accounts.oauth.services import anthropic, codeassist, codex, copilot, kimi, vertex

_MODULES = (anthropic, codeassist, codex, copilot, kimi, vertex)

SERVICES: dict[str, TokenService] = {module.SERVICE.provider: module.SERVICE for module in _MODULES}
"""By the provider's name. A login of any other provider is used until it ends, and not renewed."""

ROTATING = frozenset(name for name, service in SERVICES.items() if service.rotates)
"""Providers whose refresh tokens are good for one use: two owners lock each other out."""
