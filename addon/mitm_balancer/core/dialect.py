"""The wire formats. They are named in the core because the commit gate and our own endings depend on nothing else."""

from __future__ import annotations

import enum


class Dialect(enum.StrEnum):
    """A wire format."""

    ANTHROPIC_MESSAGES = "anthropic-messages"
    OPENAI_CHAT = "openai-chat"
    OPENAI_RESPONSES = "openai-responses"
    GEMINI = "gemini"
