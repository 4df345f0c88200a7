"""What a request asks of the fake provider, read from its method, path, headers and body."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from mitmproxy.net import encoding

from mitm_balancer.providers.model import Dialect

type HeaderList = tuple[tuple[bytes, bytes], ...]


class AskKind(enum.StrEnum):
    GENERATE = "generate"
    COUNT = "count"
    """Token counting: free, no generation."""
    MODELS = "models"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, as far as the answer depends on it."""

    dialect: Dialect
    kind: AskKind
    label: str = "unknown"
    """Of the account that the credential belongs to."""
    model: str = "fake-model"
    stream: bool = False
    include_usage: bool = False
    """openai-chat only: the client wants the usage chunk."""
    codex: bool = False
    """openai-responses on the ChatGPT backend, which has its own quota errors."""
    json_array: bool = False
    """gemini only: a stream without `alt=sse` is one JSON array."""
    now: float = 0.0
    """Unix seconds."""
    number: int = 0
    """Counts the provider's requests: makes ids distinct and repeatable."""


def read_ask(method: str, target: str, headers: HeaderList, body: bytes, *, label: str, number: int, now: float) -> Ask:
    """The ask; a path that no dialect knows is OTHER in the dialect that the headers hint at."""
    path, _, query = target.partition("?")
    names = {name.lower() for name, _ in headers}
    dialect, kind = _classify(method, path, names)
    fields = _json_fields(headers, body)
    stream, array = fields.get("stream") is True, False
    model = str(fields.get("model") or "fake-model")
    if dialect is Dialect.GEMINI:
        stream = path.endswith(":streamGenerateContent")
        array = stream and parse_qs(query).get("alt") != ["sse"]
        model = path.rpartition("/")[2].partition(":")[0]
    options = fields.get("stream_options")
    return Ask(
        dialect=dialect,
        kind=kind,
        label=label,
        model=model,
        stream=stream and kind is AskKind.GENERATE,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        codex="/codex/" in path,
        json_array=array,
        number=number,
        now=now,
    )


def _classify(method: str, path: str, names: set[bytes]) -> tuple[Dialect, AskKind]:
    for suffix, dialect, kind in _SUFFIXES:
        if path.endswith(suffix):
            return dialect, kind
    home = _home(path, names)
    if method == "GET" and (path.endswith("/models") or "/models/" in path):
        return home, AskKind.MODELS
    return home, AskKind.OTHER


_SUFFIXES = (
    ("/messages/count_tokens", Dialect.ANTHROPIC_MESSAGES, AskKind.COUNT),
    ("/messages", Dialect.ANTHROPIC_MESSAGES, AskKind.GENERATE),
    ("/chat/completions", Dialect.OPENAI_CHAT, AskKind.GENERATE),
    ("/responses/input_tokens", Dialect.OPENAI_RESPONSES, AskKind.COUNT),
    ("/responses", Dialect.OPENAI_RESPONSES, AskKind.GENERATE),
    (":generateContent", Dialect.GEMINI, AskKind.GENERATE),
    (":streamGenerateContent", Dialect.GEMINI, AskKind.GENERATE),
    (":countTokens", Dialect.GEMINI, AskKind.COUNT),
)


def _home(path: str, names: set[bytes]) -> Dialect:
    """The dialect of a path that all of them have, such as `/v1/models`."""
    if path.startswith("/v1beta") or b"x-goog-api-key" in names:
        return Dialect.GEMINI
    if b"anthropic-version" in names or b"x-api-key" in names:
        return Dialect.ANTHROPIC_MESSAGES
    return Dialect.OPENAI_CHAT


def _json_fields(headers: HeaderList, body: bytes) -> dict[str, Any]:
    """The body's top-level fields; empty when it is no JSON object (or has a content coding that we cannot undo)."""
    coding = next((value for name, value in headers if name.lower() == b"content-encoding"), b"identity")
    try:
        plain = encoding.decode(body, coding.decode("latin-1"))
        fields = json.loads(plain or b"{}")
    except (ValueError, RecursionError):  # broken, or nested too deeply
        return {}
    return fields if isinstance(fields, dict) else {}
