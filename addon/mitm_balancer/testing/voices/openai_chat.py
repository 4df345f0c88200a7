"""OpenAI chat completions: answers and stream (wire-facts 2.5)."""

from __future__ import annotations

from typing import Any

from mitm_balancer.testing.ask import Ask
from mitm_balancer.testing.voices import openai_errors
from mitm_balancer.testing.voices.base import INPUT_TOKENS, ErrorAnswer, Fault, Frames, data_frame, dump

CREATED = 1767225600
"""Unix seconds; fixed, so that equal requests get equal answers."""


class ChatVoice:
    ping = b": keep-alive\n\n"
    malformed = b'data: {"id":"chatcmpl-fake","object":"chat.completion.chunk","choices":[{"index":0,"de\n\n'

    def frames(self, ask: Ask, texts: tuple[str, ...]) -> Frames:
        end = [data_frame(self._chunk(ask, {}, "stop"))]
        if ask.include_usage:
            end.append(data_frame(self._chunk(ask, None, None) | {"usage": _usage(len(texts))}))
        return Frames(
            start=(data_frame(self._chunk(ask, {"role": "assistant", "content": ""}, None)),),
            content=tuple(data_frame(self._chunk(ask, {"content": text}, None)) for text in texts),
            end=(*end, b"data: [DONE]\n\n"),
        )

    def body(self, ask: Ask, text: str) -> bytes:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        whole = {"id": _id(ask), "object": "chat.completion", "created": CREATED, "model": ask.model}
        return dump(whole | {"choices": [choice], "usage": _usage(len(text.split()))})

    def count(self) -> bytes:
        return dump({"object": "response.input_tokens", "input_tokens": INPUT_TOKENS})

    def models(self) -> bytes:
        return openai_errors.models()

    def error(self, ask: Ask, fault: Fault) -> ErrorAnswer:
        return openai_errors.error(ask, fault)

    def error_frame(self, ask: Ask, fault: Fault) -> bytes:
        return data_frame({"error": openai_errors.details(ask, fault)})

    def headers(self, ask: Ask) -> tuple[tuple[str, str], ...]:
        return openai_errors.headers(ask)

    def _chunk(self, ask: Ask, delta: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
        """One chunk; without a delta it is the usage chunk, which has no choices."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {
            "id": _id(ask),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": ask.model,
            "choices": [] if delta is None else [choice],
        }


def _id(ask: Ask) -> str:
    return f"chatcmpl-fake{ask.number:08d}"


def _usage(output_tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": output_tokens,
        "total_tokens": INPUT_TOKENS + output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
