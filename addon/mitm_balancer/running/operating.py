"""The operator's hand on a running proxy: states and settings in force at once, kept in the store, and told from there.

`Operator` is the `operations.Board` of the proxy. mitmproxy's commands call it on the event loop; what other processes
have written comes in through `obey`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from mitm_balancer.config import Config
from mitm_balancer.core.verdict import Verdict
from mitm_balancer.operations import Flags
from mitm_balancer.ops.events import EventType
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.store import Store, StoreError
from mitm_balancer.store.asks import Ask, asked, newest, reply

logger = logging.getLogger(__name__)

type Reload = Callable[[], Awaitable[Sequence[str]]]
"""Reads the configuration again; all that is wrong with it, nothing when it was taken."""


RELOAD = "reload"

type Later = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Operator:
    """States, settings and asks of one App. `changed` is called when a setting has; it puts the settings in force.

    Made once, before the proxy serves: reads the store.
    """

    def __init__(
        self,
        store: Store | None,
        runtime: Runtime,
        config: Callable[[], Config],
        changed: Callable[[], None],
        reload: Reload,
    ) -> None:
        self._store, self._runtime = store, runtime
        self._config, self._changed, self._reload = config, changed, reload
        self._flags: dict[str, dict[str, str | bool | None]] = {}
        self._settings: dict[str, Any] = {}
        self.later: dict[str, Later] = {}
        """Verbs that take their time: they run beside everything else, and answer at their end."""
        self._running: set[int] = set()
        self._done: set[tuple[int, float]] = set()
        """Asks that were obeyed, by number and time: some stay in sight, for the other proxies of this home."""
        self.revision = 0
        """Grows with each change: what was read from the store before it is older."""
        self._started = time.time()
        self._before = 0 if store is None else newest(store)
        """The number of the last ask that was there before."""

    # -- Board --------------------------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        return self._config()

    def settings(self) -> Mapping[str, Any]:
        return dict(self._settings)

    def flags(self) -> Flags:
        return {name: dict(of_name) for name, of_name in self._flags.items()}

    def set_setting(self, key: str, value: object) -> None:
        self.revision += 1
        if value is None:
            self._settings.pop(key, None)
        else:
            self._settings[key] = value
        if self._store is not None:
            self._store.set_setting(key, value)
        self._changed()

    def set_flag(self, name: str, flag: str, on: bool) -> None:
        self.revision += 1
        of_name = self._flags.setdefault(name, {})
        if on:
            of_name[flag] = True
        else:
            of_name.pop(flag, None)
        if self._store is not None:
            self._store.set_account_flag(name, flag, on)
        self._runtime.around.states.take(self._flags)

    def clear(self, names: Sequence[str], model: str | None) -> list[str]:
        health, clock = self._runtime.health, self._runtime.clock()
        had = {c.name for c in health.cooldowns(clock) if model in (None, c.model)}
        if model is None:
            had |= {name for name, _, _ in health.open_breakers(clock)}
        for name in names:
            self._runtime.forget(name, model)
            if self._store is not None:
                self._store.clear_cooldown(name, model)
        return [name for name in names if name in had]

    def add_event(self, type: EventType, account: str, message: str) -> None:
        logger.info("mitm-balancer: %s", f"{account}: {message}" if account else message)
        self._runtime.recorder.event(type, account, message)

    # -- what others have written -------------------------------------------------------------------------------

    def take(self, settings: Mapping[str, Any], flags: Flags) -> None:
        """What the store has now. The caller puts the settings in force."""
        self._settings = dict(settings)
        self._flags = {name: dict(of_name) for name, of_name in flags.items()}
        self._runtime.around.states.take(self._flags)

    async def obey(self) -> None:
        """Do what other processes ask, and answer. What they have written besides has been taken before."""
        if self._store is None:
            return
        asks = await asyncio.to_thread(asked, self._store, self._started, time.time(), self._before)
        self._done &= {(ask.seq, ask.at) for ask in asks}
        for ask in asks:
            if ask.verb != RELOAD and ask.verb not in self.later:
                await self._obey(ask)
            elif ask.seq not in self._running:
                self._running.add(ask.seq)
                spawn(self._do_beside(ask), f"balancer {ask.verb}")

    async def _obey(self, ask: Ask) -> None:
        mark = (ask.seq, ask.at)
        if mark not in self._done:
            answer = await self._do(ask)
            if ask.answered or await self._answer(ask, answer):
                self._done.add(mark)

    async def _do_beside(self, ask: Ask) -> None:
        """What takes its time keeps no other command waiting: a password manager may ask its user something."""
        if (later := self.later.get(ask.verb)) is not None:
            await self._answer(ask, await later(ask.args))
        else:
            await self._obey(ask)
        self._running.discard(ask.seq)

    async def _answer(self, ask: Ask, answer: Mapping[str, Any]) -> bool:
        """Whether it could be written."""
        if self._store is None:
            return False
        try:
            await asyncio.to_thread(reply, self._store, ask.seq, answer)
        except StoreError as e:
            logger.warning("mitm-balancer: a command is obeyed, but its answer cannot be written: %s", e)
            return False
        return True

    async def _do(self, ask: Ask) -> dict[str, Any]:
        match ask.verb:
            case "clear":
                names = [str(name) for name in ask.args.get("names") or ()]
                model = ask.args.get("model")
                return {"cleared": self.clear(names, model if isinstance(model, str) else None)}
            case verb if verb == RELOAD:
                problems = list(await self.reload())
                return {"problems": problems, "accounts": len(self.config.accounts)}
            case _:
                return {}

    async def reload(self) -> Sequence[str]:
        """Read the configuration now. What a refused credential was benched for is forgotten: it may be another now."""
        problems = await self._reload()
        if not problems:
            self._forget_refusals()
        return problems

    def _forget_refusals(self) -> None:
        health, clock = self._runtime.health, self._runtime.clock()
        for cooldown in list(health.cooldowns(clock)):
            if cooldown.verdict is Verdict.AUTH_FAILURE:
                self._runtime.forget(cooldown.name, cooldown.model)
                if self._store is not None:
                    self._store.clear_cooldown(cooldown.name, cooldown.model)
