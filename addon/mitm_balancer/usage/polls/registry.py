"""Which provider is asked how; every other one says why it is not."""

from __future__ import annotations

from mitm_balancer.usage.polls import (
    anthropic,
    codeassist,
    codex,
    copilot,
    deepseek,
    kimi,
    openai,
    opencode,
    openrouter,
    zai,
)
from mitm_balancer.usage.polls.model import Poll

POLLS: dict[str, Poll] = {
    "anthropic": anthropic.POLL,
    "codex": codex.POLL,
    "openai": openai.POLL,
    "copilot": copilot.POLL,
    "openrouter": openrouter.POLL,
    "kimi": kimi.POLL,
    "moonshot": kimi.INTERNATIONAL,
    "moonshot-cn": kimi.CHINA,
    "opencode": opencode.POLL,
    "codeassist": codeassist.POLL,
    "zai": zai.INTERNATIONAL,
    "bigmodel": zai.CHINA,
    "deepseek": deepseek.POLL,
}

_NO_ENDPOINT = "its keys have no usage endpoint"
_HEADERS = f"{_NO_ENDPOINT}; its answers tell"
_CONSOLE = "its usage is shown in its console only"

REASONS: dict[str, str] = {
    "gemini": f"{_NO_ENDPOINT}, and its answers tell no limits before the refusal",
    "vertex": "its usage is a Cloud Monitoring query of the project",
    "groq": _HEADERS,
    "mistral": "only a logged-in browser is told; its answers tell",
    "codestral": "only a logged-in browser is told; its answers tell",
    "xai": "its balance needs a management key; its answers tell",
    "grok": "its billing is told to its own client only",
    "together": _HEADERS,
    "fireworks": _HEADERS,
    "cerebras": _HEADERS,
    "azure": _HEADERS,
    **dict.fromkeys(
        ("qwen", "qwen-cn", "qwen-us", "qwen-coding", "qwen-oauth"), "its usage is shown in its console only"
    ),
    "minimax": "its web site tells, not its API",
    "minimax-cn": "its web site tells, not its API",
}
"""Wire-facts x.7. What stands in neither table is the user's own gateway."""


def poll_of(provider: str) -> Poll | None:
    """How it is asked; None when it cannot be: `reason` says why."""
    return POLLS.get(provider)


def reason(provider: str) -> str:
    """Why there is no poll, in the seed's words."""
    why = REASONS.get(provider)
    return f"No usage service registered for {provider}{f': {why}' if why else ''}."
