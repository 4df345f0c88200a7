"""Bound resources: what one account made, another cannot know (wire-facts 1.2.4, 2.1, 3.1, 5.2).

`Resources` remembers for the whole process who made what; `Binding` is what that means for one request. An id is taken
from the answer that made or showed it. A request that names one is pinned to its owner; a Codex turn only prefers the
account where it began, for its state is dropped when another account takes over.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mitmproxy import http

from mitm_balancer.core.decoding import Decoder
from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.dispatch import Dispatch
from mitm_balancer.core.owners import Owners, fingerprint
from mitm_balancer.core.splice import read_string
from mitm_balancer.core.sse import splitter
from mitm_balancer.core.tail import Tail
from mitm_balancer.providers.model import PathKind
from mitm_balancer.proxy import fields, references
from mitm_balancer.proxy.attempt import Answer, header
from mitm_balancer.proxy.overheard import Overheard
from mitm_balancer.upstream.base import UpstreamResponse

if TYPE_CHECKING:
    from mitm_balancer.proxy.runtime import Claim

TURN_STATE = b"x-codex-turn-state"
"""Given with the head of an answer, echoed within the same turn; opaque, so only its fingerprint is kept."""

_CONTAINER = (("container", "id"), ("delta", "container", "id"), ("message", "container", "id"))
"""Anthropic's code execution: in a whole message, in `message_delta`, in `message_start`."""

type Keep = Callable[[str, str, float], None]


@dataclass(slots=True)
class Resources:
    """Who made what, for all providers. `keep` stores (fingerprint, account, unix seconds)."""

    owners: Owners = field(default_factory=Owners)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    keep: Keep = lambda *_: None

    def of(
        self, claim: Claim, request: http.Request, refers: Iterable[str], known: Container[str] | None = None
    ) -> Binding:
        """What binds this request. `refers`: the ids that its body names; `known`: accounts that it may be bound to,
        None: those of its provider."""
        known = claim.pool.accounts if known is None else known
        names = [*(references.of_path(request.path) if claim.kind is PathKind.BOUND else ()), *refers]
        binding = Binding(self, claim, request.method)
        for name in names:
            owner = self._owner(claim, name, known)
            if owner is not None:
                binding.pin = binding.pin or owner
                binding.found.append(name)
        if (state := fields.first(request.headers.fields, TURN_STATE)) is not None:
            binding.turn = self._owner(claim, fields.text(state), known)
        return binding

    def learn(self, provider: str, account: str, names: Iterable[str]) -> None:
        """`account` has just spoken of these."""
        now = time.time()
        for name in names:
            key = fingerprint(self.secret, provider, name)
            if self.owners.learn(key, account, now):
                self.keep(key, account, now)

    def _owner(self, claim: Claim, name: str, known: Container[str]) -> str | None:
        """None also for an account that is gone: the one that answers now may tell the client so."""
        owner = self.owners.find(fingerprint(self.secret, claim.pool.provider.name, name), time.time())
        return owner if owner is not None and owner in known else None


@dataclass(slots=True)
class Binding:
    """One request's."""

    resources: Resources
    claim: Claim
    method: str
    pin: str | None = None
    """The account that made what the request names."""
    turn: str | None = None
    """The account where the Codex turn began."""
    found: list[str] = field(default_factory=list)

    def bind(self, dispatch: Dispatch, record: dict[str, Any]) -> None:
        """Tell the dispatcher, and the trace."""
        dispatch.pin, dispatch.prefer = self.pin, self.turn
        if self.pin is not None:
            record["bound_to"] = self.pin

    def gone(self, account: str) -> frozenset[bytes]:
        """Request headers that mean nothing to this account."""
        return frozenset() if self.turn is None or self.turn == account else frozenset({TURN_STATE})

    def answered(self, account: str, answer: Answer) -> None:
        """The account has served: learn from the head, and from the body as far as it is here; hear the rest."""
        response = answer.response
        self._learn(account, [state] if (state := header(response, TURN_STATE)) else [])
        if not 200 <= response.status < 300 or self.method in ("DELETE", "HEAD"):
            return
        self._learn(account, self.found if account == self.pin else ())
        if header(response, b"content-type").startswith("text/event-stream"):
            self._learn(account, self._opening(response, answer.prefix))
        elif answer.complete:
            self._hear(account, response, answer.prefix)
        elif header(response, b"content-type").startswith("application/json"):
            answer.response = Overheard(response, lambda start: self._hear(account, response, start), answer.prefix)

    def ended(self, account: str, tail: Tail) -> None:
        """A stream is over: what it made stands in the events that carry usage."""
        for data in {tail.first_usage, tail.last_usage}:
            self._learn(account, self._in(data))

    def _hear(self, account: str, response: UpstreamResponse, body: bytes) -> None:
        self._learn(account, self._in(_decoded(response, body)))

    def _opening(self, response: UpstreamResponse, prefix: bytes) -> list[str]:
        """The id of a response that streams: `response.created` stands among the first events."""
        if self.claim.dialect is not Dialect.OPENAI_RESPONSES:
            return self._in(_decoded(response, prefix[:4096])) if b'"gen-' in prefix[:4096] else []
        events = splitter(header(response, b"content-type")).feed(_decoded(response, prefix))
        return [name for e in events if (name := read_string(e.data, ("response", "id"))) is not None][:1]

    def _in(self, data: bytes) -> list[str]:
        """The ids that this answer, or event of it, names."""
        if not data:
            return []
        if self.claim.kind is PathKind.BOUND or (self.claim.rule is not None and "interactions" in self._pattern):
            return list(references.made(data))
        match self.claim.dialect:
            case Dialect.OPENAI_RESPONSES:
                stored = b'"store":false' not in data and b'"store": false' not in data
                ids = [read_string(data, ("id",)), read_string(data, ("response", "id"))]
                return [*(name for name in ids if name), *(references.made(data) if stored else ())]
            case Dialect.ANTHROPIC_MESSAGES if b'"container"' in data:
                return [name for path in _CONTAINER if (name := read_string(data, path))]
            case Dialect.OPENAI_CHAT if b'"gen-' in data:  # OpenRouter's, for /api/v1/generation?id=
                return [name for name in references.made(data) if name.startswith("gen-")]
        return []

    def _learn(self, account: str, names: Iterable[str]) -> None:
        self.resources.learn(self.claim.pool.provider.name, account, names)

    @property
    def _pattern(self) -> str:
        return "" if self.claim.rule is None else self.claim.rule.pattern


def _decoded(response: UpstreamResponse, body: bytes) -> bytes:
    coding = header(response, b"content-encoding")
    return Decoder(coding).feed(body) if coding else body
