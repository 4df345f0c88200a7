"""The composition root: the only place that knows all the parts.

`addon()` is what the script and `balancer run` put into mitmproxy. An `App` outlives a reload of the script: it is kept
per home, so streams, cooldowns and the pool go on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from mitm_balancer import __version__
from mitm_balancer.config import Config, ConfigErrors
from mitm_balancer.paths import home_path
from mitm_balancer.proxy.activity import Activity, Watched
from mitm_balancer.proxy.addon import BalancerAddon, Settings
from mitm_balancer.proxy.capture import Capture
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.running.bookkeeping import Bookkeeper
from mitm_balancer.running.config_file import ConfigFile
from mitm_balancer.running.declared import Declared
from mitm_balancer.running.following import Following
from mitm_balancer.running.in_force import InForce
from mitm_balancer.running.new_runtime import new_runtime
from mitm_balancer.running.observing import Observing
from mitm_balancer.running.operating import Operator
from mitm_balancer.running.polling import Polls
from mitm_balancer.running.publishing import Publisher, restore_activity
from mitm_balancer.running.recording import Recording, open_store
from mitm_balancer.running.renewing import Renewals
from mitm_balancer.running.state_row import StateRow
from mitm_balancer.running.stored_accounts import StoredAccounts
from mitm_balancer.running.way_out import WayOut
from mitm_balancer.store import KnownRows
from mitm_balancer.upstream.dial import Via
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.upstream.tls import TlsSettings

logger = logging.getLogger(__name__)

WATCH_INTERVAL = 0.5
"""Seconds between looks at the configuration file: a change counts within a second (contract)."""

INSECURE = "ssl_insecure is set: no account's credential will be sent"

CA_FILE = "mitmproxy-ca-cert.pem"
"""mitmproxy's own name for the certificate that clients must trust."""

_apps: dict[Path, App] = {}


def addon() -> BalancerAddon:
    """The mitmproxy addon."""
    return BalancerAddon(compose)


def compose(settings: Settings) -> App | None:
    """The App for these settings; None when the configuration is unusable, which is said at ERROR: it cannot serve."""
    home = home_path(settings.home or None)
    file = ConfigFile(home, settings)
    try:
        file.load()
    except ConfigErrors as e:
        for error in e.errors:
            logger.error("mitm-balancer: %s", error)
        return None
    app = _apps.get(home)
    if app is None:
        app = _apps[home] = App(home, file)
    else:
        app.adopt(file)
    return app


class App:
    """All parts of one running proxy. Implements `proxy.addon.Backend`."""

    def __init__(self, home: Path, config_file: ConfigFile) -> None:
        """The file has been read without an error. Reads the store: blocks, once, before the proxy serves."""
        self.home = home
        self.proxyauth = False
        self._started = time.time()
        self._ca = home / CA_FILE
        self._watcher: asyncio.Task[None] | None = None
        self._behind = False
        """The store has changed, and was not obeyed yet: a look that fails is made again."""
        self._reading = asyncio.Lock()
        """One reading of the configuration and its credentials at a time: an older one never comes after a newer."""
        self._config_file = config_file
        self._way_out = WayOut()
        self.pool = Pool()
        self.store = open_store(home)
        known_rows = KnownRows()
        self.activity = Activity()
        restore_activity(self.activity, self.store)
        recording = Recording(self.store, known_rows)
        self.runtime = new_runtime(self.store, self.pool, Watched(recording, self.activity))
        self.stored = StoredAccounts(self.store, home)
        self._declared = Declared()
        self._renewals = self.runtime.logins = Renewals(
            self.stored, self.pool, self.refresh_from_store, lambda: not self.runtime.insecure, recording.event
        )
        self._in_force = InForce(
            self.config, self.runtime, self.store, self.stored, self._declared, self._renewals.renewable
        )  # fmt: skip
        self._in_force.pace = self._pace_polls
        self._bookkeeper = Bookkeeper(self.runtime.book, self.store)
        self._polls = Polls(
            self.pool,
            self.runtime.book,
            self.store,
            spawn,
            self.runtime.recorder.event,
            self._in_force.disabled,
            self._bookkeeper.save,
            self._renewals.expired,
        )
        self.operator = Operator(self.store, self.runtime, lambda: self.merged, self._put_in_force, self.reload)
        self.operator.later["usage"] = self._polls.wished
        self._in_force.settings = self.operator.settings
        self.observing = Observing(home, self.store, recording, self.runtime)
        self._publisher = Publisher(self.runtime, self.activity, self.store)
        self._state_row = StateRow(self.store, self.state)
        self.runtime.listener = capture = Capture(self.stored.book, self.refresh_from_store, recording.event)
        self._following = Following(
            self.runtime,
            self.stored,
            known_rows,
            self.activity,
            self.operator,
            capture,
            self._in_force,
            self._put_in_force,
        )
        self._following.take(self.stored.look())
        self._bookkeeper.restore(time.time())

    @property
    def config(self) -> Config:
        """As the file says."""
        return self._config_file.config

    @property
    def merged(self) -> Config:
        """The same with the stored accounts in it."""
        return self._in_force.merged

    @property
    def effective(self) -> Config:
        """What counts: the same with what commands have set over it."""
        return self._in_force.effective

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the last reload kept the old configuration; each names file, line and field."""
        return self._config_file.problems

    # -- Backend ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self.observing.start(asyncio.get_running_loop())
        async with self._reading:
            await self._read_credentials()
        if self._watcher is None or self._watcher.done():
            self._watcher = spawn(self._watch(), "balancer watch")

    def network(self, tls: TlsSettings, via: Via | None) -> None:
        if tls.insecure and not self.runtime.insecure:
            logger.warning("mitm-balancer: %s", INSECURE)
        self.runtime.insecure = tls.insecure
        if via != self._way_out.via:
            self._way_out = WayOut(via, self._way_out.addresses)
        self.pool.configure(tls, self._way_out.route)
        self._pace_polls()

    def proxy_for(self, host: str, port: int) -> Via | None:
        return self._way_out.of_environment(host, port)

    def listening(self, addresses: tuple[tuple[str, int], ...], confdir: Path) -> None:
        self._way_out.addresses = addresses
        self._ca = confdir / CA_FILE
        self.observing.listening(addresses)
        self._state_row.tell()

    def close(self) -> Awaitable[None] | None:
        if self._watcher is not None:
            self._watcher.cancel()
        if self._renewals.under_way:
            return self._close_soon()
        self._let_go()
        return None

    async def _close_soon(self) -> None:
        await self._renewals.finish()
        self._let_go()

    def _let_go(self) -> None:
        self.pool.close()
        self._bookkeeper.save()
        self._in_force.save_if_changed()
        self.observing.close()
        self._state_row.clear()
        if self.store is not None:
            self.store.close()
        _apps.pop(self.home, None)

    # -- configuration ------------------------------------------------------------------------------------------

    def adopt(self, config_file: ConfigFile) -> None:
        """Take a file that has been read without an error, maybe another one: mitmproxy's options have changed."""
        self._config_file = config_file
        self._put_in_force()

    async def reload(self) -> Sequence[str]:
        """Read the configuration and the credentials again; a bad one changes nothing. All that is wrong with it."""
        async with self._reading:
            # In a thread: YAML takes too long for the event loop.
            if await asyncio.to_thread(self._config_file.read):
                self._put_in_force()
                logger.info("mitm-balancer: configuration reloaded: %d accounts", len(self.effective.accounts))
                await self._read_credentials()
                self.observing.reloaded(len(self.effective.accounts))
            self._state_row.tell()
            return self.problems

    async def refresh_from_store(self) -> None:
        """Obey what other processes, and this one, have changed in the store: accounts, settings, flags, cooldowns."""
        await self._following.refresh()

    def _put_in_force(self) -> None:
        self._in_force.put(self.config)
        self.observing.configure(self.config)

    def _pace_polls(self) -> None:
        """Without verified TLS nobody is asked: no credential is sent then."""
        self._polls.pace(
            Config() if self.runtime.insecure else self.effective, self._in_force.secret, self.stored.accounts
        )

    async def _read_credentials(self) -> None:
        for name in await self._declared.read(self.config.accounts):
            self.runtime.forget(name)  # a new credential starts with a clean slate
            if self.store is not None:
                self.store.clear_cooldown(name, None)  # after a restart too
        self._in_force.apply()
        self.runtime.ready.set()
        await self._polls.begin()

    # -- every half second --------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        told = ""
        while True:
            try:
                await self._look()
            except Exception as error:  # a border: what fails once must not end reloads and renewals for good
                if told != (told := repr(error)):
                    logger.warning("mitm-balancer: a look at what has changed failed", exc_info=True)
            await asyncio.sleep(WATCH_INTERVAL)

    async def _look(self) -> None:
        if await asyncio.to_thread(self._config_file.changed) and not self._reading.locked():
            # Beside all else: a credential's command, or a keyring, may take its ten seconds.
            spawn(self.reload(), "balancer reload")
        self._behind |= await asyncio.to_thread(self.stored.changed)
        if self._behind:
            await self.refresh_from_store()
            await self.operator.obey()
            self._behind = False
            await asyncio.to_thread(self._state_row.tell_again)
        self._following.look()
        await asyncio.to_thread(self.observing.hear)
        self.observing.look(self.problems)
        await asyncio.to_thread(self.stored.note_uses, self.activity.last_used())
        self._bookkeeper.save_if_due(time.time())
        self._polls.tick()
        self._in_force.save_if_changed()
        await self._renewals.tick(self._in_force.disabled)
        self._state_row.tell()
        self._publisher.publish_if_changed(self._in_force.told)

    def state(self) -> dict[str, Any]:
        """What the CLI reads of a running proxy."""
        host, port = self._way_out.addresses[0] if self._way_out.addresses else ("", 0)
        source = self.config.source
        return {
            "pid": os.getpid(),
            "host": host,
            "port": port,
            "ca": str(self._ca),
            "proxyauth": self.proxyauth,
            "version": __version__,
            "started": self._started,
            "config": str(source) if source else None,
            "config_problem": "; ".join(self.problems) or None,
            "config_problems": list(self.problems),
            "store_problem": self.store.healthy if self.store is not None else "no store",
            "credential_problems": {**self._declared.problems, **self.stored.problems},
            "account_problems": [*self._in_force.problems, *((INSECURE,) if self.runtime.insecure else ())],
            "observing_problems": list(self.observing.problems),
            "active": {name: pool.priority.active for name, pool in self.runtime.pools.items()},
        }
