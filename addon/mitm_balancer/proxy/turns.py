"""Whether a request begins a turn of the user, or goes on with one: its last message is a person's, or a tool's result.

A model is best changed between two turns: inside one, its own reasoning and calls are what it goes on from.
"""

from __future__ import annotations

import msgspec

from mitm_balancer.core.dialect import Dialect


class _Body(msgspec.Struct):
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    contents: msgspec.Raw = msgspec.Raw()


class _Message(msgspec.Struct):
    role: object = None
    type: object = None
    content: msgspec.Raw = msgspec.Raw()
    parts: msgspec.Raw = msgspec.Raw()


class _Part(msgspec.Struct):
    type: object = None
    functionResponse: object = None  # noqa: N815 - Gemini's word
    function_response: object = None


_body = msgspec.json.Decoder(_Body)
_list = msgspec.json.Decoder(list[msgspec.Raw])
_message = msgspec.json.Decoder(_Message)
_parts = msgspec.json.Decoder(list[_Part])

_TOOLS = frozenset({"tool", "function"})


def begins(content: bytes, dialect: Dialect) -> bool:
    """Total: what cannot be read begins a turn, for nothing can be seen that it goes on from."""
    last = _last(content, dialect)
    if last is None:
        return True
    if last.role in _TOOLS or (isinstance(last.type, str) and last.type.endswith("_output")):
        return False
    return not any(_is_result(part) for part in _try(_parts, last.content) or _try(_parts, last.parts) or ())


def _last(content: bytes, dialect: Dialect) -> _Message | None:
    body = _try(_body, content)
    if body is None:
        return None
    raw = {Dialect.GEMINI: body.contents, Dialect.OPENAI_RESPONSES: body.input}.get(dialect, body.messages)
    turns = _try(_list, raw)
    return _try(_message, turns[-1]) if turns else None


def _is_result(part: _Part) -> bool:
    return part.type == "tool_result" or part.functionResponse is not None or part.function_response is not None


def _try[T](decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T | None:
    try:
        return decoder.decode(data) if data else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
