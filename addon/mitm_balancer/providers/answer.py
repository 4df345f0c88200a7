"""An error answer, read: its codes, its message, and what its body says about when to come back.

Every error shape of wire-facts 16.2 comes out as the same few facts. Reading is total: any bytes give an `Answer`.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mitm_balancer.core import decoding, resets

MAX_BODY = 256 * 1024
"""Bytes of a body that are read; error bodies are collected up to 64 KiB, compressed ones grow."""

_MAX_CODES = 64
_MAX_DEPTH = 12

# Keys whose value names a code, wherever they stand in the part of the body that is walked.
_CODE_KEYS = frozenset(
    {
        "code",
        "type",
        "status",
        "reason",
        "error_type",
        "limit_source",
        "quotaid",
        "status_code",
        "error_code",
        "limitname",
    }
)
# Keys whose value names a wait in seconds, or an absolute stamp: Codex, Code Assist, RetryInfo, OpenRouter's metadata.
_WAIT_KEYS = frozenset(
    {"resets_at", "resets_in_seconds", "retrydelay", "quotaresetdelay", "quotaresettimestamp", "retry_after",
     "retry_after_seconds", "retryafter", "x-ratelimit-reset", "reset_at", "resetsat"}
)  # fmt: skip
_MESSAGE_KEYS = frozenset({"message", "msg", "detail", "error", "status_msg", "error_description"})
# What a provider quotes in these is somebody else's error (OpenRouter) or what the request said (validation errors).
_FOREIGN_KEYS = frozenset({"raw", "input", "ctx", "flagged_input", "failed_generation", "content_filter_result"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What one error answer says."""

    status: int
    headers: dict[str, str]
    """Lower-case names; of repeated ones the first."""
    codes: tuple[str, ...]
    """Lower case, the outermost first, without repetition."""
    message: str
    """The whole text for people, at most 4000 characters; empty if there is none."""
    waits: tuple[tuple[str, float], ...]
    """(lower-case key, seconds from now) of every reset that the body states in a field of its own."""
    body: str
    server_now: float


def read(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, *, now: float) -> Answer:
    """Read an answer; `now` is unix seconds."""
    names = header_map(headers)
    server_now = resets.server_clock(names.get("date"), now)
    text = decoding.decode(body, names.get("content-encoding", ""), limit=MAX_BODY)[:MAX_BODY].decode(
        "utf-8", "replace"
    )
    data = load(text)
    facts = list(_walk(data, 0))
    codes = [*(word for kind, word in facts if kind == "code"), *_header_codes(names)]
    waits = [(key[5:], resets.wait(value, server_now=server_now)) for key, value in facts if key.startswith("wait:")]
    return Answer(
        status=status,
        headers=names,
        codes=tuple(dict.fromkeys(code.lower()[:80] for code in codes))[:_MAX_CODES],
        message=next((value for key, value in facts if key == "message"), _plain(text, data))[:4000],
        waits=tuple((key, seconds) for key, seconds in waits if seconds is not None),
        body=text,
        server_now=server_now,
    )


def restated(answer: Answer, status: int) -> Answer:
    """The same answer under another status."""
    return replace(answer, status=status)


def dump(value: Any) -> bytes:
    """JSON for `read`."""
    return json.dumps(value).encode()


def header_map(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Lower-case names to values; of repeated ones the first counts."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1").strip().lower(), value.decode("latin-1").strip())
    return found


def load(text: str) -> Any:
    """The JSON value in the text, or None for what is none (or nests too deeply to be an answer)."""
    text = text.strip()
    if text.startswith("data:"):
        text = text[5:].partition("\n")[0]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _walk(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """(kind, text) facts, outermost first: `code`, `message`, `wait:<key>`."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in value[:32]:
            yield from _walk(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _fact(str(key).lower(), item)
        for key, item in value.items():
            if str(key).lower() not in _FOREIGN_KEYS:
                yield from _nested(item, depth)


def _nested(item: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Containers, and JSON that came as a string (Vertex, Gemini and gateways wrap errors so)."""
    if isinstance(item, dict | list):
        yield from _walk(item, depth + 1)
    elif isinstance(item, str) and len(item) < MAX_BODY and item.lstrip()[:1] in ("{", "["):
        yield from _walk(load(item), depth + 1)


def _fact(key: str, item: Any) -> Iterator[tuple[str, str]]:
    if isinstance(item, bool) or not isinstance(item, str | int | float):
        return
    text = str(item)
    if key in _CODE_KEYS and text and len(text) <= 200:
        yield "code", text
    elif key in _WAIT_KEYS:
        yield f"wait:{key}", text
    elif key in _MESSAGE_KEYS and text.strip() and text.lstrip()[:1] not in ("{", "["):
        yield "message", text.strip()


def _header_codes(names: dict[str, str]) -> Iterator[str]:
    """Codes that stand in headers: AWS, and the Codex backend's base64 JSON."""
    if errortype := names.get("x-amzn-errortype"):
        yield errortype.partition(":")[0]
    if encoded := names.get("x-error-json"):
        try:
            data = load(base64.b64decode(encoded).decode("utf-8", "replace"))
        except (binascii.Error, ValueError):
            return
        yield from (word for kind, word in _walk(data, 0) if kind == "code")


def _plain(text: str, data: Any) -> str:
    """The message of a body that is no JSON object: an HTML page's title or first words, or the text itself."""
    if isinstance(data, str):
        return data.strip()
    if data is not None:
        return ""
    title = re.search(r"<title[^>]{0,200}>([^<]{1,300})", text, re.IGNORECASE)
    words = title.group(1) if title else re.sub(r"<[^>]{0,2000}>", " ", text[:8000])
    return " ".join(html.unescape(words).split())
