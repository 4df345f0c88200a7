"""Usage polls put together: over our pool, for the accounts of the configuration, into the book and the store.

The proxy paces them; `balancer usage --refresh` uses the same parts when no proxy runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from mitm_balancer.accounts.model import Credential, StoredAccount
from mitm_balancer.config import AccountSpec, Config, Stored
from mitm_balancer.core import resets
from mitm_balancer.core.evidence import Source
from mitm_balancer.ops.events import EventType
from mitm_balancer.providers.identity import account_fields
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from mitm_balancer.store.snapshots import SnapshotRow, listed, save
from mitm_balancer.store.writer import Write
from mitm_balancer.upstream.ask import ask
from mitm_balancer.upstream.base import Upstream, UpstreamError
from mitm_balancer.usage.book import Book
from mitm_balancer.usage.poller import TIMEOUT, Poller, Result
from mitm_balancer.usage.polls.model import EXACT, Answer, Ask, AskError, Question, Subject
from mitm_balancer.usage.redaction import Redaction, without_people

MOST_RAW = 64 * 1024
"""Characters of an answer that are kept; a longer one is not kept at all."""

_JITTER = random.Random()  # noqa: S311  (spreads requests, protects nothing)

_OAUTH = frozenset({"codex", "copilot", "codeassist"})
"""Providers whose credentials are logins, whatever their shape."""


def subject(spec: AccountSpec, secret: Secret, credential: Credential | None = None) -> Subject:
    """The account as a poll needs it. `credential` is what the store holds of it, for an account of the store."""
    shape = "oauth" if spec.provider in _OAUTH or secret.reveal().startswith("sk-ant-oat") else "api"
    ids = account_fields(spec.provider, secret.reveal())
    if credential is not None:
        ids = {**ids, **credential.identity, **credential.extra}
    return Subject(
        name=spec.name,
        provider=spec.provider,
        kind=credential.kind if credential is not None else shape,
        secret=secret,
        refresh=credential.refresh if credential is not None else None,
        identity={**ids, **dict(spec.identity)},
        base=str(spec.base_url) if spec.base_url is not None else "",
    )


def over(upstream: Upstream) -> Ask:
    """Asks through the pool: the same TLS settings and the same way out as the attempts."""

    async def send(question: Question) -> Answer:
        try:
            told = await ask(
                upstream, question.method, question.url, headers=question.headers, body=question.body, timeout=TIMEOUT
            )
        except UpstreamError as e:
            raise AskError(str(e)) from None
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(told.headers)}
        return Answer(told.status, headers, told.body, resets.server_clock(headers.get("date"), time.time()))

    return send


class Polls:
    """The polls of one process. `store` None: nothing is remembered."""

    def __init__(
        self,
        upstream: Upstream,
        book: Book,
        store: Store | None,
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        event: Callable[[EventType, str, str], None],
        disabled: Callable[[AccountSpec], bool] = lambda _: False,
        write: Callable[[], None] = lambda: None,
        ended: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`disabled`: whether the operator has switched an account off. `write` hands the book to the store. `ended`:
        whether an account's token has."""
        self._book, self._store, self._event = book, store, event
        self._disabled, self._write = disabled, write
        self._known: dict[str, str] = {}
        """Confidence of each account's last snapshot: only a change is an event."""
        self._restored = False
        self.poller = Poller(over(upstream), self._keep, heard=self._heard, ended=ended, spawn=spawn, rng=_JITTER)

    def pace(
        self, config: Config, secret: Callable[[AccountSpec], Secret | None], stored: Iterable[StoredAccount]
    ) -> None:
        """Who may be asked now, and how often; accounts without a credential to send are not."""
        kept = {account.name: account.credential for account in stored}
        found = []
        for spec in config.accounts:
            sent = secret(spec)
            if spec.enabled and sent is not None and not self._disabled(spec):
                credential = kept.get(spec.name) if isinstance(spec.credential, Stored) else None
                found.append(subject(spec, sent, credential))
        self.poller.configure(found, float(config.usage.every_s) if config.usage.poll else 0.0)

    def restore(self) -> None:
        """What was asked before this start: nobody is asked again too soon. Reads the store: blocks."""
        rows = listed(self._store) if self._store is not None else {}
        self._known = {name: row.confidence for name, row in rows.items()}
        self.poller.restore({n: (r.fetched_at, r.next_at, r.confidence == EXACT) for n, r in rows.items()})

    async def begin(self) -> None:
        """Once the accounts are known: `restore`, off the event loop."""
        if not self._restored:
            self._restored = True
            await asyncio.to_thread(self.restore)

    def tick(self) -> None:
        """Start what is due."""
        if self._restored:
            self.poller.tick()

    async def wished(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """`balancer usage --refresh` asks for some accounts; why some were not asked, once all that were have told."""
        names = args.get("accounts")
        outcome = await self.poller.refresh([str(n) for n in names] if isinstance(names, list) else [])
        await self.written()
        return {"outcome": outcome}

    async def written(self) -> bool:
        """Wait until all that was told is on disk; False: the store is in trouble."""
        self._write()
        if self._store is None:
            return False
        return await asyncio.wrap_future(self._store.put(Write(("flush",), "SELECT 1", (), durable=True)))

    def _heard(self, account: str) -> float | None:
        at = self._book.heard_at(account)
        return None if at is None else max(0.0, time.time() - at)

    def _keep(self, result: Result) -> None:
        finding, name = result.finding, result.subject.name
        redaction = Redaction(result.subject.secrets)
        self._book.windows(name, finding.windows, result.at, Source.POLL)
        raw = json.dumps([without_people(redaction.value(entry)) for entry in finding.raw]) if finding.raw else ""
        row = SnapshotRow(
            account=name,
            fetched_at=result.at,
            confidence=finding.confidence,
            plan=redaction.text(finding.plan or result.subject.identity.get("plan", "")),
            message=redaction.text(finding.message),
            raw_redacted=raw if len(raw) <= MOST_RAW else "",
            error=redaction.text(result.error),
            amounts=json.dumps([dataclasses.asdict(amount) for amount in finding.amounts]),
            next_at=result.next_at,
        )
        if self._store is not None:
            save(self._store, row)
        if result.wished or self._known.get(name) != row.confidence:
            kind = EventType.USAGE_REFRESHED if row.confidence == EXACT else EventType.USAGE_UNAVAILABLE
            self._event(kind, name, row.message)
        self._known[name] = row.confidence
