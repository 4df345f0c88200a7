"""Renews logins: who asks first does it, everybody else waits for the same answer (P8).

    renew(account) -> Fresh | NotNow | NeedsLogin

One at a time per client id, over all processes of this machine; whoever comes next reads the account again and finds
the work done. Before a refresh token is sent the store has a note of it, and the new pair is on disk before anybody
uses it. Nothing here blocks the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.model import AccountError, Credential, StoredAccount
from mitm_balancer.accounts.oauth import answer, request, rules
from mitm_balancer.accounts.oauth.installed import VARIABLE, client_secret
from mitm_balancer.accounts.oauth.keeper import Keeper, Pair, Spawn
from mitm_balancer.accounts.oauth.line import in_line
from mitm_balancer.accounts.oauth.memory import Memory
from mitm_balancer.accounts.oauth.outcome import Fresh, NeedsLogin, NotNow, Renewal
from mitm_balancer.accounts.oauth.service import TokenService
from mitm_balancer.accounts.oauth.services import SERVICES
from mitm_balancer.accounts.oauth.uses import Uses
from mitm_balancer.core.verdict import Sent
from mitm_balancer.ops.events import EventType
from mitm_balancer.store import Store, StoreError
from mitm_balancer.upstream.ask import Told, ask
from mitm_balancer.upstream.base import Upstream, UpstreamError

logger = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds for the token endpoint."""

type Tell = Callable[[EventType, str, str, Mapping[str, object]], object]

PATIENCE = 90.0
"""Seconds to wait for other processes in line: two that meet a bad network."""


@dataclass(slots=True)
class Refresher:
    """One per process and home."""

    book: AccountBook
    store: Store
    upstream: Upstream
    home: Path
    spawn: Spawn
    heard: Callable[[], Coroutine[Any, Any, None]]
    """Called when there is a new pair and when a login is over, before those who wait are told."""
    allowed: Callable[[], bool] = lambda: True
    """False: no credential may leave this process (`ssl_insecure`)."""
    tell: Tell | None = None
    """Who hears of events: (type, account, message, data). None: the store."""
    wall: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)
    timeout: float = TIMEOUT
    memory: Memory = field(init=False)
    keeper: Keeper = field(init=False)
    _uses: Uses = field(init=False)
    _running: dict[str, asyncio.Task[Renewal]] = field(default_factory=dict)
    _lines: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def __post_init__(self) -> None:
        self._uses = Uses(self.store)
        self.memory = Memory(self.wall, self.clock, self.rng)
        self.keeper = Keeper(self.book, self._uses, self.spawn, self.wall)

    def look_after(self, accounts: Iterable[StoredAccount]) -> None:
        """Start what is due. Cheap: called every second or so."""
        for account in accounts:
            if account.id not in self._running and self.memory.due(account):
                self._start(account)

    async def renew(self, account: StoredAccount) -> Renewal:
        """A newer credential than this one. Cancelling gives up the wait, never the refresh."""
        if (task := self._running.get(account.id)) is None:
            if (refused := self.memory.refused(account)) is not None:
                return refused
            task = self._start(account)
        return await asyncio.shield(task)

    @property
    def busy(self) -> bool:
        """Whether a refresh is under way."""
        return bool(self._running)

    async def finish(self, seconds: float) -> None:
        """Wait for what is under way: an answer that nobody reads would cost a login."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=seconds)

    # -- one refresh --------------------------------------------------------------------------------------------

    def _start(self, account: StoredAccount) -> asyncio.Task[Renewal]:
        task = self._running[account.id] = self.spawn(self._run(account), "balancer renewal")
        task.add_done_callback(lambda _: self._running.pop(account.id, None))
        return task

    async def _run(self, account: StoredAccount) -> Renewal:
        service = SERVICES[account.provider]
        assert account.credential is not None
        try:
            async with self._in_line(request.line(service, account.credential)):
                result = await self._at_the_counter(service, account)
        except TimeoutError:
            result = NotNow("another process has been renewing for too long", rules.BACKOFF_FIRST)
        except OSError as e:
            result = NotNow(f"there can be no lock in {self.home}: {e.strerror}", rules.BACKOFF_MOST)
        except (StoreError, AccountError) as e:
            result = NotNow(str(e), rules.BACKOFF_FIRST)
        result = self.memory.note(account, result)
        self._tell(account, result)
        if not isinstance(result, NotNow):
            await self.heard()
        return result

    @contextlib.asynccontextmanager
    async def _in_line(self, name: str) -> AsyncIterator[None]:
        async with self._lines[name], in_line(self.home, name, PATIENCE):
            yield

    async def _at_the_counter(self, service: TokenService, account: StoredAccount) -> Renewal:
        """The lock is held: what is read now is not renewed by anybody else."""
        current = await asyncio.to_thread(self.keeper.again, account)
        if current is None or current.credential is None:
            return NotNow("the account is gone" if current is None else current.problem)
        if current.generation != account.generation:
            return Fresh(current)
        if not self.allowed():
            return NotNow("no credential may be sent while ssl_insecure is set", rules.BACKOFF_MOST)
        secret = await asyncio.to_thread(_client_secret, service, current.credential)
        if service.program and not secret:
            why = f"a renewal needs {service.client}: install it on this machine, or set {VARIABLE}"
            return NotNow(why, rules.WAIT_MOST)
        return await self._ask(service, current, current.credential, secret)

    async def _ask(self, service: TokenService, current: StoredAccount, old: Credential, secret: str) -> Renewal:
        may, why = await asyncio.to_thread(self._begin, service, current, old)
        if may is rules.May.NO:
            return NeedsLogin(why, service.cure)
        asked = request.question(service, old, secret)
        try:
            told = await ask(
                self.upstream, asked.method, asked.url, headers=asked.headers, body=asked.body, timeout=self.timeout,
                fresh=True,  # an answer that is lost with a connection that died while it idled would cost the login
            )  # fmt: skip
        except UpstreamError as e:
            return await self._no_answer(service, current, old, e)
        meaning = answer.read(service, old, told.status, _headers(told), told.json(), now=self.wall())
        match meaning:
            case answer.Renewed(credential):
                kept = await self.keeper.keep(Pair(service, current, credential))
                return Fresh(kept, ours=True) if kept is not None else NotNow("the account is gone")
            case answer.Later(reason, wait):
                await self._unused(service, old)
                return NotNow(f"the token endpoint said {reason}", wait or 0.0)
            case answer.Unclear(reason) if not service.rotates:
                await self._unused(service, old)
                return NotNow(f"the token endpoint gave {reason}", 0.0)
            case answer.Dead(reason) | answer.Unclear(reason):
                return await self._over(service, current, old, reason)

    async def _no_answer(
        self, service: TokenService, current: StoredAccount, old: Credential, error: UpstreamError
    ) -> Renewal:
        """What had not left whole was not used. What had left may have been: only a grace window allows it again."""
        if error.sent is not Sent.ALL or not service.rotates:
            await self._unused(service, old)
        elif not service.grace:
            return await self._over(service, current, old, rules.LOST)
        return NotNow(f"the token endpoint gave no answer: {error}", 0.0)

    async def _over(self, service: TokenService, current: StoredAccount, old: Credential, reason: str) -> NeedsLogin:
        assert old.refresh is not None
        await asyncio.to_thread(self._uses.dead, service, old.refresh, current.name, reason, self.wall())
        return NeedsLogin(reason, service.cure)

    def _begin(self, service: TokenService, current: StoredAccount, old: Credential) -> tuple[rules.May, str]:
        assert old.refresh is not None
        try:
            return self._uses.begin(service, old.refresh, current.name, self.wall())
        except StoreError:
            if service.rotates:
                raise
            return rules.May.YES, ""  # a second use of it costs nothing, and traffic must not end with the disk (P9)

    async def _unused(self, service: TokenService, old: Credential) -> None:
        """The note goes. When it cannot, the next one will not use the token: better than twice."""
        assert old.refresh is not None
        try:
            await asyncio.to_thread(self._uses.failed, service, old.refresh)
        except StoreError as e:
            logger.warning("mitm-balancer: the note about a renewal stays behind: %s", e)

    def _tell(self, account: StoredAccount, result: Renewal) -> None:
        match result:
            case NotNow(reason, wait):
                after = "" if wait is None else f"; next try in {wait:.0f} s"
                logger.warning("mitm-balancer: %s was not renewed: %s%s", account.name, reason, after)
            case NeedsLogin(reason, cure):
                logger.warning("mitm-balancer: %s %s", account.name, result)
                data = {"reason": reason, "cure": cure}
                self._event(EventType.REAUTH_REQUIRED, account.name, f"{account.name} {result}", data)
            case Fresh(ours=True):
                logger.info("mitm-balancer: %s was renewed", account.name)
                self._event(EventType.TOKEN_REFRESHED, account.name, f"{account.name} was renewed", {})
            case _:
                pass  # whoever did it has told it

    def _event(self, type: EventType, account: str, message: str, data: Mapping[str, object]) -> None:
        (self.tell or self.store.add_event)(type, account, message, data)


def _client_secret(service: TokenService, credential: Credential) -> str:
    if (stated := credential.extra.get("client_secret", "")) or not service.program:
        return stated
    return client_secret(service.program, credential.extra.get("client_id", service.client_id))


def _headers(told: Told) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in told.headers}
