"""Environment variables that agents and SDKs read a credential from (wire-facts 22.2)."""

from __future__ import annotations

from typing import Final

KEYS: Final = {
    "ANTHROPIC_API_KEY": "anthropic",
    "CLAUDE_CODE_OAUTH_TOKEN": "anthropic",
    "OPENAI_API_KEY": "openai",
    "CODEX_API_KEY": "openai",
    "GEMINI_API_KEY": "gemini",
    "GOOGLE_API_KEY": "gemini",
    "GOOGLE_GENERATIVE_AI_API_KEY": "gemini",
    "COPILOT_GITHUB_TOKEN": "copilot",
    "OPENROUTER_API_KEY": "openrouter",
    "GROQ_API_KEY": "groq",
    "MISTRAL_API_KEY": "mistral",
    "CODESTRAL_API_KEY": "codestral",
    "DEEPSEEK_API_KEY": "deepseek",
    "XAI_API_KEY": "xai",
    "TOGETHER_API_KEY": "together",
    "TOGETHERAI_API_KEY": "together",
    "TOGETHER_AI_API_KEY": "together",
    "FIREWORKS_API_KEY": "fireworks",
    "FIREWORKS_AI_API_KEY": "fireworks",
    "CEREBRAS_API_KEY": "cerebras",
    "MOONSHOT_API_KEY": "moonshot",
    "KIMI_API_KEY": "kimi",
    "ZAI_API_KEY": "zai",
    "Z_AI_API_KEY": "zai",
    "ZHIPU_API_KEY": "bigmodel",
    "ZHIPUAI_API_KEY": "bigmodel",
    "DASHSCOPE_API_KEY": "qwen",
    "MINIMAX_API_KEY": "minimax",
    "OPENCODE_API_KEY": "opencode",
}
"""Name -> provider. Not GH_TOKEN and GITHUB_TOKEN: mostly they are for something else than Copilot."""

ELSEWHERE: Final = {
    "anthropic": ("ANTHROPIC_BASE_URL",),
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "gemini": ("GOOGLE_GEMINI_BASE_URL",),
}
"""Where one of these is set, the key belongs to that address: it is not sent to the provider itself."""

LOGINS: Final = frozenset({"CLAUDE_CODE_OAUTH_TOKEN", "COPILOT_GITHUB_TOKEN"})
"""These hold no API key but a login."""
