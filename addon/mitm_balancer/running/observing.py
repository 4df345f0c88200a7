"""What a running proxy tells of itself: puts the audit log, the metrics and the notices together as configured.

The App calls `configure` when the configuration may have changed, `look` every half second, `close` at the end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mitm_balancer import __version__
from mitm_balancer.config import Audit, Config, Metrics, Notices
from mitm_balancer.config.observing import STDOUT, Address
from mitm_balancer.ops import notices
from mitm_balancer.ops.audit import AuditLog
from mitm_balancer.ops.events import EventType
from mitm_balancer.ops.logfile import RotatedFile, StandardOutput, audit_path
from mitm_balancer.ops.watch import HealthWatch
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.running.recording import Listeners, Recording
from mitm_balancer.running.webhook import Webhook
from mitm_balancer.store import Store

if TYPE_CHECKING:
    from mitm_balancer.ops.exporter import Exporter
    from mitm_balancer.ops.metrics import Metrics as Counted

logger = logging.getLogger(__name__)

LISTEN_AGAIN = 30.0
"""Seconds until a port that was taken is tried again."""

MOST_HEARD = 1000
"""Events of other processes that one look takes."""


class Observing:
    """All that is told, of one proxy."""

    def __init__(self, home: Path, store: Store | None, recording: Recording, runtime: Runtime) -> None:
        self._home, self._store, self._recording, self._runtime = home, store, recording, runtime
        self._in_force: tuple[Audit, Metrics, Notices, Path | None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._webhook: Webhook | None = None
        self._watch = HealthWatch(runtime.health)
        recording.on_cooldown = self._watch.started
        self._store_trouble: str | None = None
        self._config_problems: tuple[str, ...] = ()
        self._heard_to: int | None = None
        self._counted: Counted | None = None
        self._exporter: Exporter | None = None
        self._listen: Address | None = None
        self._listen_again = 0.0
        self._listen_problem: str | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What of it does not work, for the status."""
        webhook = self._webhook.problem if self._webhook is not None else None
        found = (*self._recording.problems, self._listen_problem, webhook)
        return tuple(dict.fromkeys(problem for problem in found if problem))

    # -- configuration ------------------------------------------------------------------------------------------

    def configure(self, config: Config) -> None:
        """Put the sections in force; what they had before is closed. Does nothing when they are as they were."""
        wanted = config.audit, config.metrics, config.notices, config.source
        if wanted == self._in_force:
            return
        self._in_force = wanted
        if config.metrics.listen != self._listen:
            self._listen = config.metrics.listen
            self._stop_exporter()
            self._start_exporter(first=True)
        self._recording.listen(Listeners(self._audit(config), self._counted, self._notices(config.notices)))
        self._try_webhook()

    def _audit(self, config: Config) -> AuditLog | None:
        audit = config.audit
        if audit.to == STDOUT:
            return AuditLog(StandardOutput())
        path = audit_path(audit, self._home, config.source)
        return None if path is None else AuditLog(RotatedFile(path, audit.max_mb * 1_000_000, audit.keep))

    def _notices(self, wanted: Notices) -> notices.Notices:
        senders: dict[str, notices.Sender] = {}
        self._webhook = None
        if wanted.command:
            senders["command"] = notices.command(wanted.command, wanted.timeout_s)
        if wanted.webhook is not None:
            self._webhook = Webhook(wanted.webhook, wanted.timeout_s, self._runtime, lambda: self._loop)
            senders["webhook"] = self._webhook.send

        def failed(problem: str) -> None:
            self._recording.event(EventType.NOTICE_FAILED, message=problem, data={"problem": problem})

        return notices.Notices(senders, wanted.min_interval_s, failed)

    def _try_webhook(self) -> None:
        if self._loop is not None and self._webhook is not None:
            spawn(self._webhook.try_out(), "balancer webhook")

    # -- metrics ------------------------------------------------------------------------------------------------

    def _start_exporter(self, *, first: bool) -> None:
        listen = self._listen
        if listen is None:
            self._counted = self._exporter = self._listen_problem = None
            return
        # Imported when they are wanted: they cost a start 50 ms.
        from mitm_balancer.ops.exporter import Exporter, ExporterError  # noqa: PLC0415
        from mitm_balancer.ops.metrics import Metrics as Counted  # noqa: PLC0415

        self._counted = self._counted or Counted()
        exporter = Exporter(self._counted.registry, listen.host, listen.port)
        try:
            exporter.start()
        except ExporterError as error:
            self._listen_problem, self._listen_again = str(error), time.monotonic() + LISTEN_AGAIN
            if first:
                logger.warning("mitm-balancer: %s; it is tried again, and traffic goes on", error)
            return
        self._exporter, self._listen_problem = exporter, None
        logger.info("mitm-balancer: metrics on http://%s/metrics", listen)

    def _stop_exporter(self) -> None:
        exporter, self._exporter = self._exporter, None
        if exporter is not None:  # its server looks twice a second whether it is to end
            threading.Thread(target=exporter.close, name="balancer-metrics-end", daemon=True).start()

    # -- every half second --------------------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """The event loop that webhooks are sent from."""
        self._loop = loop
        self._try_webhook()

    def listening(self, addresses: Sequence[tuple[str, int]]) -> None:
        """The proxy serves."""
        where = ", ".join(f"{host}:{port}" for host, port in addresses[:4])
        data = {"version": __version__, "pid": os.getpid()}
        self._recording.event(EventType.PROXY_STARTED, message=f"the proxy serves at {where}", data=data)

    def reloaded(self, accounts: int) -> None:
        """A configuration was read and taken."""
        text = f"the configuration was read again: {accounts} accounts"
        self._recording.event(EventType.CONFIG_RELOADED, message=text, data={"accounts": accounts})

    def look(self, config_problems: tuple[str, ...]) -> None:
        """Tell of changes that nobody announces. On the event loop; never blocks."""
        for news in self._watch.look(self._runtime.clock()):
            self._recording.event(news.type, news.account, news.message, news.data)
        self._look_at_store()
        self._look_at_config(config_problems)
        if self._listen is not None and self._exporter is None and time.monotonic() >= self._listen_again:
            self._start_exporter(first=False)
        if self._counted is not None:
            self._gauge(self._counted)

    def hear(self) -> None:
        """Events that commands have left in the store since the last call. Blocks."""
        if self._store is None:
            return
        if self._heard_to is None:
            self._heard_to = self._store.last_event()  # what was told before we came is no news
            return
        for row in self._store.events(after=self._heard_to, limit=MOST_HEARD):
            self._heard_to = row.seq
            if not row.origin:
                self._recording.heard(row)

    def _look_at_store(self) -> None:
        if self._store is None:
            return
        before, self._store_trouble = self._store_trouble, self._store.healthy
        if self._store_trouble is not None and before is None:
            text = f"the store cannot be written, traffic goes on: {self._store_trouble}"
            self._recording.event(EventType.STORE_TROUBLE, message=text, data={"problem": self._store_trouble})
        elif self._store_trouble is None and before is not None:
            self._recording.event(EventType.STORE_RECOVERED, message="the store works again")

    def _look_at_config(self, problems: tuple[str, ...]) -> None:
        before, self._config_problems = self._config_problems, problems
        if problems and problems != before:
            text = f"the configuration is not taken, the one before stays: {problems[0]}"
            self._recording.event(EventType.CONFIG_REJECTED, message=text, data={"problem": "; ".join(problems)})

    def _gauge(self, counted: Counted) -> None:
        from mitm_balancer.ops.metrics import Gauges  # noqa: PLC0415

        runtime, now = self._runtime, self._runtime.clock()
        names = [name for pool in runtime.pools.values() for name in pool.accounts]
        cooling = dict.fromkeys(names, 0.0)
        for cooldown in runtime.health.cooldowns(now):
            cooling[cooldown.name] = max(cooling.get(cooldown.name, 0.0), cooldown.until - now)
        counted.gauges = Gauges(
            running={name: runtime.admission.running(name) for name in names},
            waiting=runtime.admission.waiting,
            cooling=cooling,
            breakers={name: runtime.health.breaker_state(name, now) for name in names},
            store_works=self._store is not None and self._store.healthy is None,
            config_works=not self._config_problems,
            dropped=self._recording.lost,
        )

    # -- the end ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Tell what waits, and stop. Before the store is closed."""
        self._stop_exporter()
        self._recording.event(EventType.PROXY_STOPPED, message="the proxy ends", data={"pid": os.getpid()})
        self._recording.close()
