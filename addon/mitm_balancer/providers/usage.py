"""Tokens, from the events that `core.tail.Tail` kept or from a JSON body (wire-facts 23).

Usage is cumulative in every dialect: the last event with numbers counts, never a sum. Only Anthropic splits it: the
input side stands in its first event, and the last one repeats what changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mitm_balancer.core.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, counted alike for all dialects."""

    input: int = 0
    """The whole prompt, with what came from or went into a cache."""
    output: int = 0
    """Everything generated, with reasoning."""
    cache_read: int = 0
    """The part of `input` that was read from a cache."""
    cache_write: int = 0
    """The part of `input` that was written to one."""
    reasoning: int = 0
    """The part of `output` that was reasoning, where a provider tells."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.reasoning + other.reasoning,
        )


def usage_of(dialect: Dialect, first: bytes, last: bytes = b"") -> Usage | None:
    """The usage in the first and the last event (or JSON body) that had numbers; None if there are none. Total."""
    return _READERS[dialect](_load(first), _load(last))


def _load(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _part(value: dict[str, Any], *names: str) -> dict[str, Any]:
    """The first of these keys that holds an object; else an empty one."""
    return next((value[name] for name in names if isinstance(value.get(name), dict)), {})


def _count(value: dict[str, Any], *names: str) -> int:
    """The first of these keys that holds a number of tokens; else 0."""
    for name in names:
        count = value.get(name)
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            return count
    return 0


# What the top-level numbers leave out.
_EXTRA_ITERATIONS = frozenset({"compaction", "advisor_message"})


def _anthropic(first: dict[str, Any], last: dict[str, Any]) -> Usage | None:
    begun = _part(first, "usage") or _part(_part(first, "message"), "usage")
    merged = begun | {name: value for name, value in _part(last, "usage").items() if value is not None}
    if not merged:
        return None
    iterations = merged.get("iterations")
    extra = (item for item in iterations if isinstance(item, dict)) if isinstance(iterations, list) else ()
    return sum((_blocks(item) for item in extra if item.get("type") in _EXTRA_ITERATIONS), _blocks(merged))


def _blocks(usage: dict[str, Any]) -> Usage:
    read, write = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    return Usage(
        input=_count(usage, "input_tokens") + read + write,
        output=_count(usage, "output_tokens"),
        cache_read=read,
        cache_write=write,
        reasoning=_count(_part(usage, "output_tokens_details"), "thinking_tokens", "reasoning_tokens"),
    )


def _chat(first: dict[str, Any], last: dict[str, Any]) -> Usage | None:
    event = last or first
    usage = _part(event, "usage") or _part(_part(event, "x_groq"), "usage")
    if not usage:
        return None
    details = _part(usage, "prompt_tokens_details", "prompt_token_details")
    prompt, read = _count(usage, "prompt_tokens"), _cached(usage, details)
    output, reasoning = (
        _count(usage, "completion_tokens"),
        _count(_part(usage, "completion_tokens_details"), "reasoning_tokens"),
    )
    if _count(usage, "total_tokens") >= prompt + output + reasoning:
        output += reasoning  # xAI counts reasoning beside the completion; everybody else inside it
    return Usage(
        input=prompt if read <= prompt else prompt + read,  # xAI: then it is not included
        output=output,
        cache_read=read,
        cache_write=_count(details, "cache_write_tokens"),
        reasoning=reasoning,
    )


def _cached(usage: dict[str, Any], details: dict[str, Any]) -> int:
    """OpenAI; DeepSeek; Mistral; Together."""
    return _count(details, "cached_tokens") or _count(
        usage, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens"
    )


def _responses(first: dict[str, Any], last: dict[str, Any]) -> Usage | None:
    event = last or first
    usage = _part(_part(event, "response"), "usage") or _part(event, "usage")
    if not usage:
        return None
    details = _part(usage, "input_tokens_details")
    return Usage(
        input=_count(usage, "input_tokens"),
        output=_count(usage, "output_tokens"),
        cache_read=_count(details, "cached_tokens"),
        cache_write=_count(details, "cache_write_tokens"),
        reasoning=_count(_part(usage, "output_tokens_details"), "reasoning_tokens"),
    )


def _gemini(first: dict[str, Any], last: dict[str, Any]) -> Usage | None:
    event = last or first
    usage = _part(event, "usageMetadata") or _part(_part(event, "response"), "usageMetadata")
    if not usage:
        return None
    asked = _count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount")
    thoughts = _count(usage, "thoughtsTokenCount")
    # C14: sources disagree whether the candidates include the thoughts; the total settles it.
    told = _count(usage, "totalTokenCount") - asked
    output = told if told >= 0 and "totalTokenCount" in usage else _count(usage, "candidatesTokenCount") + thoughts
    return Usage(input=asked, output=output, cache_read=_count(usage, "cachedContentTokenCount"), reasoning=thoughts)


_READERS: dict[Dialect, Callable[[dict[str, Any], dict[str, Any]], Usage | None]] = {
    Dialect.ANTHROPIC_MESSAGES: _anthropic,
    Dialect.OPENAI_CHAT: _chat,
    Dialect.OPENAI_RESPONSES: _responses,
    Dialect.GEMINI: _gemini,
}
