"""The composition root: the only place that knows all the parts.

`addon()` is what the script and `balancer run` put into mitmproxy. An `App` outlives a reload of the script: it is kept
per home, so streams, cooldowns and the pool go on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mitm_balancer import __version__, overrides, pools, renaming, roster_row
from mitm_balancer.accounts.credentials import CredentialError, resolve
from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.bookkeeping import Bookkeeper
from mitm_balancer.choices import Choices
from mitm_balancer.circumstances import circumstances, target, windows_to_evidence
from mitm_balancer.config import AccountSpec, Config, ConfigErrors, Literal, Stored, load
from mitm_balancer.core.admission import Admission
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.changes import Changes
from mitm_balancer.core.health import Health
from mitm_balancer.core.priority import Priority
from mitm_balancer.core.verdict import Verdict
from mitm_balancer.in_use import InUse
from mitm_balancer.observing import Observing
from mitm_balancer.operating import Operator
from mitm_balancer.paths import config_path, home_path
from mitm_balancer.policies import breaker_policy, dispatch_policy, limits
from mitm_balancer.polling import Polls
from mitm_balancer.providers.model import Provider
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy.activity import Activity, Watched
from mitm_balancer.proxy.addon import BalancerAddon, Settings
from mitm_balancer.proxy.capture import SETTING, Capture
from mitm_balancer.proxy.runtime import ProviderPool, Runtime
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.publishing import Publisher
from mitm_balancer.recording import Recording, open_store, restore_cooldowns
from mitm_balancer.remembering import resources, sessions
from mitm_balancer.renewing import Renewals
from mitm_balancer.roster import merge
from mitm_balancer.secrets import Secret
from mitm_balancer.store import CooldownRow, KnownRows
from mitm_balancer.store.state_keys import LIVE, ROSTER
from mitm_balancer.stored_accounts import Fates, Look, StoredAccounts
from mitm_balancer.upstream.base import Origin
from mitm_balancer.upstream.dial import Via, proxy_from_environment
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.upstream.tls import TlsSettings

logger = logging.getLogger(__name__)

WATCH_INTERVAL = 0.5
"""Seconds between looks at the configuration file: a change counts within a second (contract)."""

JITTER = random.Random()  # noqa: S311  (spreads returns, protects nothing)

CA_FILE = "mitmproxy-ca-cert.pem"
"""mitmproxy's own name for the certificate that clients must trust."""

HEARTBEAT = 5.0
"""Seconds between two writes of the proxy's own state row."""

_apps: dict[Path, App] = {}


def addon() -> BalancerAddon:
    """The mitmproxy addon."""
    return BalancerAddon(compose)


def compose(settings: Settings) -> App | None:
    """The App for these settings; None when the configuration is unusable, which is said at ERROR: it cannot serve."""
    home = home_path(settings.home or None)
    try:
        config = load_config(settings, home)
    except ConfigErrors as e:
        for error in e.errors:
            logger.error("mitm-balancer: %s", error)
        return None
    app = _apps.get(home)
    if app is None:
        app = _apps[home] = App(home, settings, config)
    else:
        app.adopt(settings, config)
    return app


def load_config(settings: Settings, home: Path) -> Config:
    """The configuration that the settings name, or the default one. Raises ConfigErrors."""
    path, explicit = config_path(settings.config or None, home)
    config = load(path if explicit or path.exists() else None)
    warn_if_open(config)
    return config


def warn_if_open(config: Config) -> None:
    """A credential that stands in a file which other users can read is said."""
    literal = any(isinstance(spec.credential, Literal) for spec in config.accounts)
    if literal and config.source is not None and config.source.stat().st_mode & 0o077:
        logger.warning("mitm-balancer: %s holds credentials and others can read it: chmod 600 it", config.source)


class App:
    """All parts of one running proxy. Implements `proxy.addon.Backend`."""

    def __init__(self, home: Path, settings: Settings, config: Config) -> None:
        self.home = home
        self.settings = settings
        self.proxyauth = False
        self.config = config
        self.problems: tuple[str, ...] = ()
        """Why the last reload kept the old configuration; each names file, line and field."""
        self.store = open_store(home)
        self._known_rows = KnownRows()
        self.pool = Pool()
        self._via: Via | None = None
        self._addresses: tuple[tuple[str, int], ...] = ()
        self._ca = home / CA_FILE
        self.stored = StoredAccounts(self.store, home)
        self._account_problems: tuple[str, ...] = ()
        self._roster: dict[str, Any] = {}
        self._in_use = InUse(self.store)
        self._choices = Choices(self._in_use.chosen)
        self._secrets: dict[str, Secret] = {}
        """Of declared accounts; `stored` has the others."""
        self._credential_problems: dict[str, str] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._config_stamp = self._stamp()
        self._started = time.time()
        self._told: dict[str, Any] = {}
        self._in_force: dict[str, Any] = {}
        """What counts now, for the status."""
        self._next_beat = 0.0
        # One journal for all that an order depends on: a decision reads one list of what has changed.
        changes = Changes()
        admission = Admission(changes=changes)
        self.activity = Activity()
        recording = Recording(self.store, self._known_rows)
        self.runtime = Runtime(
            registry=Registry(()),
            pools={},
            health=Health(JITTER, breaker_policy(config.policy), changes),
            around=circumstances(admission),
            admission=admission,
            upstream=self.pool,
            recorder=Watched(recording, self.activity),
            warm=self.pool.warm,
            resources=resources(self.store, time.time()),
            sessions=sessions(self.store, time.time(), time.monotonic()),
        )
        self.runtime.listener = self._capture = Capture(self.stored.book, self.refresh_from_store, recording.event)
        self.runtime.book.listener = windows_to_evidence(self.runtime)
        self._bookkeeper = Bookkeeper(self.runtime.book, self.store)
        self._polls = Polls(
            self.pool,
            self.runtime.book,
            self.store,
            spawn,
            self.runtime.recorder.event,
            self._disabled,
            self._bookkeeper.save,
            self._ended,
        )
        self.merged = self.effective = config
        """`merged` has the stored accounts in it; `effective` is what counts, with what commands have set over it."""
        self.operator = Operator(self.store, self.runtime, lambda: self.merged, self._settings_changed, self.reload)
        self.operator.later["usage"] = self._polls.wished
        self.observing = Observing(home, self.store, recording, self.runtime)
        self._renewals = self.runtime.logins = Renewals(
            self.stored, self.pool, self.refresh_from_store, lambda: not self.runtime.insecure, recording.event
        )
        self._publisher = Publisher(self.runtime, self.activity, self.store)
        self._restore_activity()
        self._known: object = None
        """The stored accounts and settings that are in force."""
        self._take_look(self.stored.look())
        self.observing.configure(config)
        self._bookkeeper.restore(time.time())

    # -- Backend ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self.observing.start(asyncio.get_running_loop())
        await self._read_credentials()
        if self._watcher is None or self._watcher.done():
            self._watcher = spawn(self._watch(), "balancer watch")

    def network(self, tls: TlsSettings, via: Via | None) -> None:
        if tls.insecure and not self.runtime.insecure:
            logger.warning("mitm-balancer: ssl_insecure is set: no account's credential will be sent")
        self.runtime.insecure = tls.insecure
        self._via = via
        self.pool.configure(tls, self._route)
        self._pace_polls()

    def proxy_for(self, host: str, port: int) -> Via | None:
        return None if self._via is not None else self._route(Origin("https", host, port))

    def listening(self, addresses: tuple[tuple[str, int], ...], confdir: Path) -> None:
        self._addresses = addresses
        self._ca = confdir / CA_FILE
        self.observing.listening(addresses)
        self._tell_state()

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
        self._in_use.save_if_changed(self.runtime.pools, self._choices.obeyed)
        self.observing.close()
        if self.store is not None:
            self.store.put_state("proxy", {})
            self.store.close()
        _apps.pop(self.home, None)

    # -- configuration ------------------------------------------------------------------------------------------

    def adopt(self, settings: Settings, config: Config) -> None:
        """Take a configuration that has been read without an error."""
        self.settings, self.config, self.problems = settings, config, ()
        self._config_stamp = self._stamp()
        self._merge()
        self._apply()
        self.observing.configure(config)

    async def reload(self) -> Sequence[str]:
        """Read the configuration and the credentials again; a bad one changes nothing. All that is wrong with it."""
        if self._take(await asyncio.to_thread(self._reread)):
            await self._read_credentials()
            self.observing.reloaded(len(self.effective.accounts))
        self._tell_state()
        return self.problems

    def _reread(self) -> Config | None:
        """The configuration as it is now, or None. May run in a thread: YAML takes too long for the event loop."""
        self._config_stamp = self._stamp()
        try:
            return load_config(self.settings, self.home)
        except ConfigErrors as e:
            before, self.problems = self.problems, tuple(str(error) for error in e.errors)
            for error in self.problems if self.problems != before else ():
                logger.warning("mitm-balancer: configuration not taken, the running one stays: %s", error)
            return None

    def _take(self, config: Config | None) -> bool:
        """On the event loop: orders and queues are changed, and waiting requests may be woken."""
        if config is None:
            return False
        self.adopt(self.settings, config)
        logger.info("mitm-balancer: configuration reloaded: %d accounts", len(self.effective.accounts))
        return True

    def _merge(self) -> None:
        """One list of accounts, declared and stored, with what commands have set over it."""
        merged, problems = merge(self.config, self.stored.accounts)
        for problem in problems:
            if problem not in self._account_problems:
                logger.warning("mitm-balancer: %s", problem)
        self._account_problems = problems
        settings = self.operator.settings()
        self.merged, self.effective = merged, overrides.apply(merged, settings)
        self._in_force = {
            "balancing": self.effective.balancing,
            "strategy": self.effective.priority.strategy,
            "overrides": overrides.told(merged, settings),
        }
        if self.store is not None and (row := roster_row.row(merged)) != self._roster:
            # Only news: two proxies of one home would go on waking each other.
            self._roster = row
            self.store.put_state(ROSTER, row)

    def _settings_changed(self) -> None:
        self._merge()
        self._apply()

    def _apply(self) -> None:
        """Put the configuration in force for new requests; running ones keep what they have."""
        config = self.effective
        pools.put(self.runtime, config, self._pool)
        self.runtime.policy = dispatch_policy(config)
        self.runtime.limits = limits(config.policy)
        self.runtime.health.breaker = breaker_policy(config.policy)
        self._obey_choices()
        self._pace_polls()

    def _pace_polls(self) -> None:
        """Without verified TLS nobody is asked: no credential is sent then."""
        self._polls.pace(Config() if self.runtime.insecure else self.effective, self._secret, self.stored.accounts)

    def _disabled(self, spec: AccountSpec) -> bool:
        return self.runtime.around.states.of(spec.name, spec.provider) == "disabled"

    def _at_rest(self, account: StoredAccount) -> bool:
        return self.runtime.around.states.of(account.name, account.provider) == "disabled"

    def _ended(self, name: str) -> bool:
        return self.runtime.logins.expired(name)

    def _obey_choices(self) -> None:
        """New work goes to the account that the user chose; once, because a failover may move it on."""
        settings = self.operator.settings()
        for provider, name in self._choices.fresh(settings).items():
            pool = self.runtime.pools.get(provider)
            if pool is not None and pool.priority.find(name) is not None:
                pool.priority.active = name
                self._choices.obey(provider, settings)

    def _pool(self, provider: Provider, specs: list[AccountSpec]) -> ProviderPool:
        old = self.runtime.pools.get(provider.name)
        targets = [
            target(spec, self._unusable(spec))
            for spec in sorted(specs, key=lambda spec: spec.priority)  # stable: declaration order breaks ties
        ]
        priority = Priority(targets, self.effective.priority.strategy, self.runtime.around)
        priority.adopt(old.priority if old is not None else None)
        accounts = {
            spec.name: pools.make_account(spec, provider, self._secret(spec), renewable=self._renewable(spec))
            for spec in specs
        }
        budget = old.budget if old is not None else RetryBudget()
        budget.reserve = float(self.effective.policy.retry_budget)
        pool = ProviderPool(provider, accounts, priority, budget)
        if old is None:
            self._in_use.restore(pool)
        return pool

    def _secret(self, spec: AccountSpec) -> Secret | None:
        """What this account sends; None: not known (yet)."""
        return (self.stored.secrets if isinstance(spec.credential, Stored) else self._secrets).get(spec.name)

    def _renewable(self, spec: AccountSpec) -> bool:
        return isinstance(spec.credential, Stored) and self._renewals.renewable(spec.name)

    def _unusable(self, spec: AccountSpec) -> str:
        """Why this account has no credential to send, or ""."""
        problems = self.stored.problems if isinstance(spec.credential, Stored) else self._credential_problems
        problem = problems.get(spec.name, "")
        return problem or ("" if self._secret(spec) is not None else "its credential is still being read")

    async def refresh_from_store(self) -> None:
        """Obey what other processes, and this one, have changed in the store: accounts, settings, flags, cooldowns."""
        async with self.stored.order:
            revision = -1
            while revision != self.operator.revision:  # a command of our own came in between: what was read is older
                revision = self.operator.revision
                look = await asyncio.to_thread(self.stored.look)
            self._take_look(look)

    def _take_look(self, look: Look) -> None:
        before = self.stored.problems
        self._follow(self.stored.take(look.accounts))
        _warn_of_news(self.stored.problems, before)
        self.operator.take(look.settings, look.flags)
        self._capture.adopt(look.settings.get(SETTING), look.accounts)
        self._restore_cooldowns(look.cooldowns)
        # Most changes are of a row that concerns nobody. What is known of a login changes without one.
        if (known := (self.stored.accounts, self.stored.problems, look.settings)) != self._known:
            self._known = known
            self._settings_changed()

    def _follow(self, fates: Fates) -> None:
        """What was learnt of an account follows its name, or is forgotten with its owner."""
        for name in fates.others:
            renaming.forget(self.runtime, self.activity, name)
            self._known_rows.forget(name)
        renaming.rename_all(self.runtime, self.activity, fates.renamed)
        for name in fates.renamed:
            self._known_rows.forget(name)
        self._choices.rename(fates.renamed)
        for cooldown in self.runtime.health.cooldowns(self.runtime.clock()):
            if cooldown.name in fates.renewed and cooldown.verdict is Verdict.AUTH_FAILURE:
                self.runtime.health.clear(cooldown.name, cooldown.model)

    async def _read_credentials(self) -> None:
        specs = [spec for spec in self.config.accounts if spec.enabled]
        found = await asyncio.gather(*(self._read_credential(spec) for spec in specs))
        self._secrets = {name: secret for name, secret, _ in found if secret is not None}
        problems = {name: problem for name, _, problem in found if problem}
        _warn_of_news(problems, self._credential_problems)
        self._credential_problems = problems
        self._apply()
        self.runtime.ready.set()
        await self._polls.begin()

    async def _read_credential(self, spec: AccountSpec) -> tuple[str, Secret | None, str]:
        try:
            secret = await resolve(spec.credential)
        except CredentialError as e:
            return spec.name, None, str(e)
        if (old := self._secrets.get(spec.name)) is not None and old != secret:
            self.runtime.forget(spec.name)  # a new credential starts with a clean slate
            if self.store is not None:
                self.store.clear_cooldown(spec.name, None)  # after a restart too
        return spec.name, secret, ""

    def _stamp(self) -> tuple[int, int] | None:
        path, _ = config_path(self.settings.config or None, self.home)
        try:
            stat = path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size

    async def _watch(self) -> None:
        while True:
            stamp = await asyncio.to_thread(self._stamp)
            changed = stamp is not None and stamp != self._config_stamp
            if changed:
                await self.reload()
            if await asyncio.to_thread(self.stored.changed):
                await self.refresh_from_store()
                await self.operator.obey()
            await asyncio.to_thread(self.observing.hear)
            self.observing.look(self.problems)
            await asyncio.to_thread(self.stored.note_uses, self.activity.last_used())
            self._bookkeeper.save_if_due(time.time())
            self._polls.tick()
            self._in_use.save_if_changed(self.runtime.pools, self._choices.obeyed)
            await self._renewals.tick(self._at_rest)
            self._tell_state()
            self._publisher.publish_if_changed(self._in_force)
            await asyncio.sleep(WATCH_INTERVAL)

    # -- the rest -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The row by which the CLI finds a running proxy."""
        host, port = self._addresses[0] if self._addresses else ("", 0)
        source = self.config.source
        return {
            "pid": os.getpid(),
            "host": host,
            "port": port,
            "ca": str(self._ca),
            "proxyauth": self.proxyauth,
            "version": __version__,
            "started": self._started,
            "beat": time.time(),
            "config": str(source) if source else None,
            "config_problem": "; ".join(self.problems) or None,
            "config_problems": list(self.problems),
            "store_problem": self.store.healthy if self.store is not None else "no store",
            "credential_problems": {**self._credential_problems, **self.stored.problems},
            "account_problems": list(self._account_problems),
            "observing_problems": list(self.observing.problems),
            "active": {name: pool.priority.active for name, pool in self.runtime.pools.items()},
        }

    def _tell_state(self) -> None:
        """Write the proxy's own row, when it has changed or was not written for long."""
        state = self.state()
        told = {name: value for name, value in state.items() if name != "beat"}
        if self.store is not None and (told != self._told or time.monotonic() >= self._next_beat):
            self._told, self._next_beat = told, time.monotonic() + HEARTBEAT
            self.store.put_state("proxy", state, soon=True)

    def _restore_activity(self) -> None:
        before = self.store.get_state(LIVE) if self.store is not None else None
        accounts = (before or {}).get("accounts")
        self.activity.restore(accounts if isinstance(accounts, dict) else {})

    def _route(self, origin: Origin) -> Via | None:
        via = self._via or proxy_from_environment(origin)
        if via is not None and (via.host in ("127.0.0.1", "localhost", "::1")) and self._is_self(via.port):
            return None  # HTTPS_PROXY in our own environment points at ourselves
        return via

    def _is_self(self, port: int) -> bool:
        return any(port == listening for _, listening in self._addresses)

    def _restore_cooldowns(self, rows: Iterable[CooldownRow]) -> None:
        news = self._known_rows.unknown(rows)
        restore_cooldowns(self.runtime.health, news, time.time(), self.runtime.clock())


def _warn_of_news(problems: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Say once why an account has nothing to send."""
    for name, problem in problems.items():
        if before.get(name) != problem:
            logger.warning("mitm-balancer: %s cannot serve: %s", name, problem)
