"""How each dialect says an answer, a stream and an error."""

from mitm_balancer.providers.model import Dialect
from mitm_balancer.testing.voices.anthropic import AnthropicVoice
from mitm_balancer.testing.voices.base import ErrorKind, Fault, Voice
from mitm_balancer.testing.voices.gemini import GeminiVoice
from mitm_balancer.testing.voices.openai_chat import ChatVoice
from mitm_balancer.testing.voices.openai_responses import ResponsesVoice

VOICES: dict[Dialect, Voice] = {
    Dialect.ANTHROPIC_MESSAGES: AnthropicVoice(),
    Dialect.OPENAI_CHAT: ChatVoice(),
    Dialect.OPENAI_RESPONSES: ResponsesVoice(),
    Dialect.GEMINI: GeminiVoice(),
}

__all__ = ["VOICES", "ErrorKind", "Fault", "Voice"]
