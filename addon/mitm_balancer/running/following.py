"""A running proxy obeys the store: what other processes, and this one, have changed there counts within a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from mitm_balancer.core.verdict import Verdict
from mitm_balancer.operations.capture_window import SETTING
from mitm_balancer.proxy.activity import Activity
from mitm_balancer.proxy.capture import Capture
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.running import renaming
from mitm_balancer.running.declared import warn_of_news
from mitm_balancer.running.in_force import InForce
from mitm_balancer.running.operating import Operator
from mitm_balancer.running.recording import restore_cooldowns
from mitm_balancer.running.stored_accounts import Fates, Look, StoredAccounts
from mitm_balancer.store import KnownRows


class Following:
    """One App's. `changed` is called when accounts or settings are others; it puts them in force."""

    def __init__(
        self,
        runtime: Runtime,
        stored: StoredAccounts,
        known_rows: KnownRows,
        activity: Activity,
        operator: Operator,
        capture: Capture,
        in_force: InForce,
        changed: Callable[[], None],
    ) -> None:
        self._runtime, self._stored, self._known_rows, self._activity = runtime, stored, known_rows, activity
        self._operator, self._capture, self._in_force, self._changed = operator, capture, in_force, changed
        self._known: object = None
        """The stored accounts and settings that are in force."""

    def look(self) -> None:
        """Every half second: what time alone has changed."""
        self._capture.look()

    async def refresh(self) -> None:
        """Obey what is in the store now: accounts, settings, flags, cooldowns."""
        async with self._stored.order:
            revision = -1
            while revision != self._operator.revision:  # a command of our own came in between: what was read is older
                revision = self._operator.revision
                look = await asyncio.to_thread(self._stored.look)
            self.take(look)

    def take(self, look: Look) -> None:
        """Obey what was read."""
        before = self._stored.problems
        self._follow(self._stored.take(look.accounts))
        warn_of_news(self._stored.problems, before)
        self._operator.take(look.settings, look.flags)
        self._capture.adopt(look.settings.get(SETTING), look.accounts)
        news = self._known_rows.unknown(look.cooldowns)
        restore_cooldowns(self._runtime.health, news, time.time(), self._runtime.clock())
        # Most changes are of a row that concerns nobody. What is known of a login changes without one.
        if (known := (self._stored.accounts, self._stored.problems, look.settings)) != self._known:
            self._known = known
            self._changed()

    def _follow(self, fates: Fates) -> None:
        """What was learnt of an account follows its name, or is forgotten with its owner."""
        for name in fates.others:
            renaming.forget(self._runtime, self._activity, name)
            self._known_rows.forget(name)
        renaming.rename_all(self._runtime, self._activity, fates.renamed)
        for name in fates.renamed:
            self._known_rows.forget(name)
        self._in_force.rename(fates.renamed)
        for cooldown in self._runtime.health.cooldowns(self._runtime.clock()):
            if cooldown.name in fates.renewed and cooldown.verdict is Verdict.AUTH_FAILURE:
                self._runtime.health.clear(cooldown.name, cooldown.model)
