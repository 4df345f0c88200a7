"""What a request must lose when its provider refuses signed or encrypted reasoning (wire-facts 25.1, C1 and C2).

Thinking blocks and reasoning items are signed for a model, some say for an account. When one is refused, the
conversation without them is what the client itself would send next; the rest of the body stays as it is, byte for byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.splice import Span, cuts, elements, find_value, without
from mitm_balancer.core.verdict import Outcome, Verdict

_SIGNATURE = re.compile(r"invalid\W+(signature|data)\W+in\W+(redacted_)?thinking", re.IGNORECASE)
"""400 `messages.1.content.0: Invalid `signature` in `thinking` block` (wire-facts 1.2.4)."""

_THINKING = frozenset({"thinking", "redacted_thinking"})


@dataclass(frozen=True, slots=True)
class Stripped:
    """A body without its reasoning."""

    body: bytes
    count: int
    """Blocks or items that went."""
    what: str


class _Element(msgspec.Struct):
    # `object`: whatever else a client puts there, decoding goes on.
    type: object = None
    role: object = None


_decoder = msgspec.json.Decoder(_Element)


def is_refused(dialect: Dialect, outcome: Outcome, body: bytes = b"") -> bool:
    """Whether this outcome says that signed or encrypted reasoning is why. `body`: the refusal itself, where a gateway
    quotes the provider behind it."""
    if outcome.verdict is not Verdict.REQUEST_FAULT:
        return False
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        if outcome.reason == "invalid_signature" or _SIGNATURE.search(outcome.message):
            return True
        return _SIGNATURE.search(body.decode("utf-8", "replace")) is not None
    return dialect is Dialect.OPENAI_RESPONSES and outcome.reason == "invalid_encrypted_content"


def strip(dialect: Dialect, body: bytes) -> Stripped | None:
    """The body without what was refused; None: there is nothing of the kind in it, or it cannot be read."""
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        spans, count, what = *_thinking(body), "thinking blocks"
    elif dialect is Dialect.OPENAI_RESPONSES:
        spans, count, what = *_reasoning(body), "reasoning items"
    else:
        return None
    return Stripped(without(body, spans), count, what) if count else None


def _thinking(body: bytes) -> tuple[list[Span], int]:
    """Thinking blocks of assistant messages. A message of nothing else goes as a whole: an empty one is refused."""
    messages = _array(body, ("messages",), 0)
    spans: list[Span] = []
    emptied: set[int] = set()
    count = 0
    for number, (start, end) in enumerate(messages):
        if _look(body, start, end).role != "assistant":
            continue
        blocks = _array(body, ("content",), start)
        doomed = {n for n, (a, b) in enumerate(blocks) if _look(body, a, b).type in _THINKING}
        count += len(doomed)
        if doomed and len(doomed) == len(blocks):
            emptied.add(number)
        else:
            spans += cuts(blocks, doomed)
    return spans + cuts(messages, emptied), count


def _reasoning(body: bytes) -> tuple[list[Span], int]:
    """Reasoning items of the input."""
    items = _array(body, ("input",), 0)
    doomed = {number for number, (start, end) in enumerate(items) if _look(body, start, end).type == "reasoning"}
    return cuts(items, doomed), len(doomed)


def _array(body: bytes, path: tuple[str, ...], start: int) -> list[Span]:
    at = find_value(body, path, start)
    return [] if at is None else elements(body, at) or []


def _look(body: bytes, start: int, end: int) -> _Element:
    try:
        return _decoder.decode(memoryview(body)[start:end])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Element()
