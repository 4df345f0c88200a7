"""Which session a request belongs to: read from its headers, else from its body (wire-facts 1.2, 2.1, 3.1, 5.4, 20).

What a client sent is only ever used as a fingerprint. A system prompt alone names no session: all sessions of an agent
share it. Where nothing names one, the system prompt and everything up to the first user message do, which stay the
same for as long as the conversation lasts. So named, a request with nothing but its first message begins a session: it
leaves a binding for the turns that follow and looks for none, or a script's equal questions would all be one session.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
from mitmproxy import http

from mitm_balancer.core.owners import fingerprint
from mitm_balancer.core.refusals import Refusals
from mitm_balancer.core.session import Bindings, SessionKeys, Tie
from mitm_balancer.proxy import fields

OWN = (
    b"x-claude-code-session-id",  # all agents of a session share it
    b"thread-id",
    b"session_id",
    b"session-id",
    b"x-codex-session-id",
    b"x-codex-conversation-id",
    b"conversation_id",
    b"x-opencode-session",
    b"x-session-affinity",
    b"x-session-id",
)
"""The most telling first. `x-client-request-id` is not among them: for Claude Code it is one request's."""

PARENT = (b"x-codex-parent-thread-id", b"x-parent-session-id", b"x-opencode-parent-session")
"""The session that started a child agent's."""

AWAY_TTL = 3600.0
"""Seconds that a conversation which another provider serves is remembered there; longer than any turn waits for a
tool, and an older one begins anew."""

LONGEST = 1024
"""Characters of a name that are looked at."""

DIGESTED = 16 * 1024
"""Bytes of each part that go into a digest, with its length: a megabyte would hold up the event loop."""

_OLD_USER_ID = re.compile(r"user_[0-9a-f]*_account_.*_session_(.+)")


@dataclass(frozen=True, slots=True)
class Named:
    """What a request calls its session."""

    own: str = field(repr=False)
    kin: tuple[str, ...] = field(default=(), repr=False)
    begins: bool = False
    """Nobody named it, and it holds its first message only."""


class Body(msgspec.Struct):
    """What may tell of a session; a request's body is decoded once, into a kind of this."""

    metadata: msgspec.Raw = msgspec.Raw()
    prompt_cache_key: msgspec.Raw = msgspec.Raw()
    request: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    systemInstruction: msgspec.Raw = msgspec.Raw()  # noqa: N815 - Gemini's word
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    contents: msgspec.Raw = msgspec.Raw()


class _Metadata(msgspec.Struct):
    user_id: object = None


class _NewUserId(msgspec.Struct):
    session_id: object = None


class _Message(msgspec.Struct):
    role: object = None


_body = msgspec.json.Decoder(Body)
_metadata = msgspec.json.Decoder(_Metadata)
_with_session_id = msgspec.json.Decoder(_NewUserId)
_message = msgspec.json.Decoder(_Message)
_list = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)


def named(request: http.Request, content: bytes | None, body: Body | None = None) -> Named | None:
    """The session of a request; None: nothing tells it. Total. `content` is its body without a content coding, `body`
    the same read, where the caller has done so."""
    told = fields.lowered(request.headers.fields)
    kin = tuple(fields.text(told[name])[:LONGEST] for name in PARENT if told.get(name))
    own = next((fields.text(told[name])[:LONGEST] for name in OWN if told.get(name)), "")
    begins = False
    if not own and content and (body := body or _try(_body, content)) is not None:
        own = _named_in(body)
        if not own:
            own, begins = _beginning(body)
    return Named(own, kin, begins and not kin) if own or kin else None


def _named_in(body: Body) -> str:
    return (
        _of_user_id(body.metadata)
        or _string(body.prompt_cache_key)
        or _text_of(getattr(_try(_with_session_id, body.request), "session_id", None))
    )


def _of_user_id(metadata: msgspec.Raw) -> str:
    """The session part of Claude Code's `metadata.user_id`, in either of its forms; anything else names a user."""
    user_id = _text_of(getattr(_try(_metadata, metadata), "user_id", None))
    if not user_id:
        return ""
    if (old := _OLD_USER_ID.fullmatch(user_id)) is not None:
        return old[1]
    return _text_of(getattr(_try(_with_session_id, user_id.encode("utf-8", "replace")), "session_id", None))


def _beginning(body: Body) -> tuple[str, bool]:
    """A digest of the beginnings of everything up to the first message that is not the system's (empty: there is none),
    and whether nothing follows it."""
    turns = _try(_list, body.messages) or _try(_list, body.input) or _try(_list, body.contents)
    first = [body.input] if turns is None and bool(_string(body.input)) else _to_first_user(turns or ())
    if not first:
        return "", False
    digest = hashlib.blake2b(digest_size=16)
    for part in (body.system, body.instructions, body.systemInstruction, *first):
        whole = memoryview(part)
        digest.update(whole[:DIGESTED])
        digest.update(b"%d\0" % len(whole))
    return digest.hexdigest(), turns is None or len(turns) == len(first)


def _to_first_user(turns: Iterable[msgspec.Raw]) -> list[msgspec.Raw]:
    parts = []
    for turn in turns:
        parts.append(turn)
        message = _try(_message, turn)
        if message is None or message.role not in ("system", "developer"):
            return parts
    return []  # a system prompt alone names no session


def _string(raw: msgspec.Raw) -> str:
    return (_try(_text, raw) or "")[:LONGEST]


def _text_of(value: object) -> str:
    return value[:LONGEST] if isinstance(value, str) else ""


def _try[T](decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T | None:
    try:
        return decoder.decode(data) if data else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


@dataclass(slots=True)
class Sessions:
    """Who is where, for all providers. `keep` stores (fingerprint, account, unix seconds)."""

    bindings: Bindings = field(default_factory=Bindings)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    keep: Callable[[str, str, float], None] = lambda *_: None
    away: Bindings = field(default_factory=lambda: Bindings(ttl=AWAY_TTL))
    """Conversations that another provider serves. Not stored: after a restart they are at home again."""

    refusals: Refusals = field(default_factory=Refusals)
    """Reasoning that a provider has refused."""

    def key(self, scope: str, name: Named) -> str:
        """The fingerprint of a session within `scope`."""
        return fingerprint(self.secret, scope, name.own or name.kin[0])

    def keys(self, scope: str, ids: Iterable[str]) -> tuple[str, ...]:
        """The fingerprints of these within `scope`."""
        return tuple(fingerprint(self.secret, scope, text) for text in ids)

    def tie(self, provider: str, name: Named | None) -> Tie | None:
        """The request's session in the pool of that provider."""
        if name is None:
            return None
        keys = [fingerprint(self.secret, provider, text) for text in (name.own, *name.kin) if text]
        return Tie(self.bindings, SessionKeys(keys[0], tuple(keys[1:])), self._keep, begins=name.begins)

    def _keep(self, key: str, account: str) -> None:
        self.keep(key, account, time.time())
