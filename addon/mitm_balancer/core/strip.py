"""What a request must lose when its provider refuses signed or encrypted reasoning (wire-facts 25.1, C1 and C2).

Thinking blocks and reasoning items are signed for a model, some say for an account. When one is refused, the
conversation without them is what the client itself would send next; the rest of the body stays as it is, byte for byte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

import msgspec

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.splice import Span, cuts, elements, find_value, without
from mitm_balancer.core.verdict import Outcome, Verdict

_SIGNATURE = re.compile(r"invalid\W+(signature|data)\W+in\W+(redacted_)?thinking", re.IGNORECASE)
"""400 `messages.1.content.0: Invalid `signature` in `thinking` block` (wire-facts 1.2.4)."""

_THINKING: frozenset[object] = frozenset({"thinking", "redacted_thinking"})
_ITEMS: frozenset[object] = frozenset({"reasoning"})


@dataclass(frozen=True, slots=True)
class Stripped:
    """A body without its reasoning."""

    body: bytes
    count: int
    """Blocks or items that went."""
    what: str
    parts: frozenset[bytes] = frozenset()
    """Digests of what went."""


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


def strip(dialect: Dialect, body: bytes, parts: Container[bytes] | None = None) -> Stripped | None:
    """The body without what was refused; None: there is nothing of the kind in it, or it cannot be read. `parts`: only
    those with these digests; None: all."""
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        spans, gone, what = *_thinking(body, parts), "thinking blocks"
    elif dialect is Dialect.OPENAI_RESPONSES:
        spans, gone, what = *_reasoning(body, parts), "reasoning items"
    else:
        return None
    return Stripped(without(body, spans), len(gone), what, frozenset(gone)) if gone else None


def _thinking(body: bytes, parts: Container[bytes] | None) -> tuple[list[Span], list[bytes]]:
    """Thinking blocks of assistant messages. A message of nothing else goes as a whole: an empty one is refused."""
    messages = _array(body, ("messages",), 0)
    spans: list[Span] = []
    emptied: set[int] = set()
    gone: list[bytes] = []
    for number, (start, end) in enumerate(messages):
        if _look(body, start, end).role != "assistant":
            continue
        blocks = _array(body, ("content",), start)
        doomed = _doomed(body, blocks, _THINKING, parts)
        gone += doomed.values()
        if doomed and len(doomed) == len(blocks):
            emptied.add(number)
        else:
            spans += cuts(blocks, doomed)
    return spans + cuts(messages, emptied), gone


def _reasoning(body: bytes, parts: Container[bytes] | None) -> tuple[list[Span], list[bytes]]:
    """Reasoning items of the input."""
    items = _array(body, ("input",), 0)
    doomed = _doomed(body, items, _ITEMS, parts)
    return cuts(items, doomed), list(doomed.values())


def _doomed(
    body: bytes, elements: Sequence[Span], types: Container[object], parts: Container[bytes] | None
) -> dict[int, bytes]:
    """Number -> digest of the elements that go."""
    found = {n: _digest(body, a, b) for n, (a, b) in enumerate(elements) if _look(body, a, b).type in types}
    return found if parts is None else {n: digest for n, digest in found.items() if digest in parts}


def _digest(body: bytes, start: int, end: int) -> bytes:
    """The same part in the next request: a client writes what it got as it wrote it before."""
    return hashlib.blake2b(memoryview(body)[start:end], digest_size=12).digest()


def _array(body: bytes, path: tuple[str, ...], start: int) -> list[Span]:
    at = find_value(body, path, start)
    return [] if at is None else elements(body, at) or []


def _look(body: bytes, start: int, end: int) -> _Element:
    try:
        return _decoder.decode(memoryview(body)[start:end])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Element()
