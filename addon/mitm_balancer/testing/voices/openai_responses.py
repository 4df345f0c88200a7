"""OpenAI Responses, on api.openai.com and on the ChatGPT backend: answers and stream (wire-facts 2.5 and 3.5)."""

from __future__ import annotations

from itertools import count
from typing import Any

from mitm_balancer.testing.ask import Ask
from mitm_balancer.testing.voices import openai_errors
from mitm_balancer.testing.voices.base import INPUT_TOKENS, ErrorAnswer, Fault, Frames, dump, named_frame
from mitm_balancer.testing.voices.openai_chat import CREATED


class ResponsesVoice:
    ping = b": keep-alive\n\n"
    malformed = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"ms\n\n'

    def frames(self, ask: Ask, texts: tuple[str, ...]) -> Frames:
        text, numbers = "".join(texts), count()

        def event(kind: str, **fields: Any) -> bytes:
            return named_frame({"type": kind, "sequence_number": next(numbers), **fields})

        place = {"item_id": _item_id(ask), "output_index": 0, "content_index": 0}
        working = self._response(ask, "in_progress", [], None)
        done = self._response(ask, "completed", [self._item(ask, text, "completed")], len(texts))
        start = (
            event("response.created", response=working),
            event("response.in_progress", response=working),
            event("response.output_item.added", output_index=0, item=self._item(ask, None, "in_progress")),
            event("response.content_part.added", **place, part=_part("")),
        )
        content = tuple(event("response.output_text.delta", **place, delta=text, logprobs=[]) for text in texts)
        end = (
            event("response.output_text.done", **place, text=text, logprobs=[]),
            event("response.content_part.done", **place, part=_part(text)),
            event("response.output_item.done", output_index=0, item=self._item(ask, text, "completed")),
            event("response.completed", response=done),
        )
        return Frames(start, content, end)

    def body(self, ask: Ask, text: str) -> bytes:
        return dump(self._response(ask, "completed", [self._item(ask, text, "completed")], len(text.split())))

    def count(self) -> bytes:
        return dump({"object": "response.input_tokens", "input_tokens": INPUT_TOKENS})

    def models(self) -> bytes:
        return openai_errors.models()

    def error(self, ask: Ask, fault: Fault) -> ErrorAnswer:
        return openai_errors.error(ask, fault)

    def error_frame(self, ask: Ask, fault: Fault) -> bytes:
        """`response.failed`, whose error has no more than a code and a message."""
        known = openai_errors.details(ask, fault)
        failed = self._response(ask, "failed", [], None)
        failed["error"] = {"code": known.get("code") or known["type"], "message": known["message"]}
        return named_frame({"type": "response.failed", "sequence_number": 99, "response": failed})

    def headers(self, ask: Ask) -> tuple[tuple[str, str], ...]:
        return openai_errors.headers(ask)

    def _item(self, ask: Ask, text: str | None, status: str) -> dict[str, Any]:
        content = [] if text is None else [_part(text)]
        return {"id": _item_id(ask), "type": "message", "status": status, "role": "assistant", "content": content}

    def _response(self, ask: Ask, status: str, output: list[Any], output_tokens: int | None) -> dict[str, Any]:
        usage = None if output_tokens is None else _usage(output_tokens)
        return {
            "id": f"resp_fake{ask.number:08d}",
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "model": ask.model,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "metadata": {},
            "usage": usage,
        }


def _item_id(ask: Ask) -> str:
    return f"msg_fake{ask.number:08d}"


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT_TOKENS + output_tokens,
    }
