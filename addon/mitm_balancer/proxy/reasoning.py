"""Signed or encrypted reasoning that a provider refuses: left out once, and from then on (wire-facts 25.1: C1, C2).

A conversation that another provider or account has served holds what the next one cannot verify. The first refusal
costs an attempt. When the request went through without its reasoning, the turns that follow leave out just those parts
at once, and keep what came after them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mitmproxy import http

from mitm_balancer.core.strip import Stripped, is_refused
from mitm_balancer.core.verdict import Outcome
from mitm_balancer.proxy import bodies
from mitm_balancer.proxy.session import Named

if TYPE_CHECKING:
    from mitm_balancer.proxy.runtime import Claim, Runtime


class Reasoning:
    """One request's."""

    def __init__(self, runtime: Runtime, claim: Claim, request: http.Request, session: Named | None) -> None:
        self._sessions, self._dialect, self._request = runtime.sessions, claim.dialect, request
        self._session = session
        self._refused: Stripped | None = None
        self._by = ""
        self._known: dict[str, Stripped | None] = {}

    async def left(self, provider: str) -> Stripped | None:
        """What is left of the request for this provider; None: all of it."""
        if self._refused is not None:
            return self._refused
        if provider not in self._known:
            key = self._key(provider)
            parts = frozenset() if key is None else self._sessions.refusals.find(key)
            self._known[provider] = await self._without(parts) if parts else None
        return self._known[provider]

    async def refused(self, provider: str, outcome: Outcome, body: bytes) -> Stripped | None:
        """What is left of it, if reasoning is why it was refused (`body`: the refusal); once."""
        if self._refused is not None or not is_refused(self._dialect, outcome, body):
            return None
        self._refused, self._by = await self._without(None), provider
        return self._refused

    def served(self, provider: str) -> None:
        """The attempt at this provider went through."""
        key = self._key(provider)
        if self._refused is not None and provider == self._by and key is not None:
            self._sessions.refusals.note(key, self._refused.parts)

    async def _without(self, parts: frozenset[bytes] | None) -> Stripped | None:
        # A megabyte takes a tenth of a second: other streams go on meanwhile.
        return await asyncio.to_thread(bodies.without_reasoning, self._request, self._dialect, parts)

    def _key(self, provider: str) -> str | None:
        return None if self._session is None else self._sessions.key(f"{provider}\0reasoning", self._session)
