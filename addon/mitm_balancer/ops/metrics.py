"""The metrics for Prometheus (docs/metrics.md names the same ones). In a registry of their own.

Labels are bounded: provider, account, verdict and the like by the configuration, `model` by `MODELS_KEPT`. `step` and
`event` are called by one thread, `collect` by those of the exporter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mitm_balancer import __version__
from mitm_balancer.ops.events import Event, EventType
from mitm_balancer.ops.steps import Step

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Buckets: from a small model's first byte to a long answer."""

OVERHEAD = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1)

MODELS_KEPT = 50
"""Models are named by clients: those beyond are counted as `other`."""

OTHER = "other"

BREAKER = {"closed": 0, "half-open": 1, "open": 2}


@dataclass(frozen=True, slots=True)
class Gauges:
    """How things are at one moment."""

    running: Mapping[str, int] = field(default_factory=dict)
    """Attempts under way, of every account."""
    waiting: int = 0
    cooling: Mapping[str, float] = field(default_factory=dict)
    """Seconds that are left of each account's longest cooldown, of any model."""
    breakers: Mapping[str, str] = field(default_factory=dict)
    """`closed`, `half-open` or `open`, of every account."""
    store_works: bool = True
    config_works: bool = True
    dropped: int = 0
    """Items and lines of the audit log that were lost."""


class Metrics(Collector):
    """Counts what it is told, and shows it."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the page, and nobody reads them
        self.registry = CollectorRegistry(auto_describe=True)
        self.gauges = Gauges()
        self._models: set[str] = set()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"balancer_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"balancer_{name}", text, ("provider",), buckets=buckets, registry=self.registry)

        self._requests = counter("requests", "Requests that are over", "provider", "ended")
        self._answers = counter("answers", "Answers that clients got", "provider", "account", "status")
        self._attempts = counter("attempts", "Attempts that are over", "provider", "account", "verdict")
        self._redispatches = counter("redispatches", "Attempts after the first one", "provider")
        self._failovers = counter("failovers", "Requests served by another account than the first", "provider")
        self._switches = counter("switches", "Times that the account in use changed", "provider")
        self._exhausted = counter("exhausted", "Times that a provider's last account went out", "provider")
        self._twice = counter("maybe_billed_twice", "Requests sent again that may have been billed", "provider")
        self._cooldowns = counter("cooldowns", "Cooldowns that began", "account", "verdict")
        self._opened = counter("breaker_opened", "Times that a breaker opened", "account")
        self._refreshes = counter("token_refreshes", "Access tokens that were renewed", "account")
        self._reauth = counter("reauth_required", "Times that an account needed a new login", "account")
        self._events = counter("events", "Events of all kinds", "type")
        self._tokens = counter("tokens", "Tokens that answers told of", "account", "model", "kind")
        self._bytes = counter("bytes", "Bytes of bodies", "provider", "direction")
        self._total = histogram("request_seconds", "From the request to the last byte of its answer")
        self._head = histogram("commit_seconds", "From the request to the first byte for the client")
        self._upstream = histogram("head_seconds", "From an attempt's start to the head of its answer")
        self._first = histogram("first_event_seconds", "From the head to the first meaningful event of a stream")
        self._queue = histogram("queue_seconds", "Waiting for a free slot, of requests that had to")
        self._overhead = histogram("overhead_seconds", "Our own time before the first byte", OVERHEAD)
        self.registry.register(self)

    # -- what is told -------------------------------------------------------------------------------------------

    def step(self, step: Step) -> None:
        """A request has come that far."""
        kind, _, record, detail = step
        provider = str(record.get("provider") or "")
        if kind is EventType.VERDICT:
            self._attempt(provider, *detail)
        elif kind is EventType.COMMIT:
            self._commit(provider, record)
        elif kind is EventType.COMPLETED:
            self._completed(provider, record)

    def event(self, event: Event) -> None:
        """Anything but a step."""
        self._events.labels(event.type).inc()
        account = event.account
        match event.type:
            case EventType.COOLDOWN_STARTED:
                self._cooldowns.labels(account, str(event.data.get("verdict"))).inc()
            case EventType.BREAKER_OPENED:
                self._opened.labels(account).inc()
            case EventType.TOKEN_REFRESHED:
                self._refreshes.labels(account).inc()
            case EventType.REAUTH_REQUIRED:
                self._reauth.labels(account).inc()
            case EventType.FAILOVER_PERFORMED:
                self._switches.labels(account.partition("/")[0]).inc()
            case EventType.EXHAUSTED:
                self._exhausted.labels(account).inc()

    def _attempt(self, provider: str, number: int, entry: Mapping[str, Any]) -> None:
        account = entry["account"]
        self._attempts.labels(provider, account, entry["verdict"]).inc()
        if number > 1:
            self._redispatches.labels(provider).inc()
        if (head := entry.get("head")) is not None:
            self._upstream.labels(provider).observe(head)
        if (first := entry.get("first_event")) is not None:
            self._first.labels(provider).observe(first)

    def _commit(self, provider: str, record: Mapping[str, Any]) -> None:
        committed = record["head_seconds"]
        self._head.labels(provider).observe(committed)
        attempts = record["attempts"]
        waited = record.get("queued_seconds", 0.0) + record.get("held_seconds", 0.0)
        if attempts:
            own = committed - waited - sum(entry["seconds"] for entry in attempts)
            self._overhead.labels(provider).observe(max(0.0, own))

    def _completed(self, provider: str, record: Mapping[str, Any]) -> None:
        account, attempts = str(record.get("account") or "none"), record["attempts"]
        self._requests.labels(provider, str(record["ended"]).partition(":")[0]).inc()
        self._answers.labels(provider, account, _status(record.get("status"))).inc()
        self._total.labels(provider).observe(record["seconds"])
        if queued := record.get("queued_seconds"):
            self._queue.labels(provider).observe(queued)
        self._bytes.labels(provider, "in").inc(record.get("bytes_in") or 0)
        self._bytes.labels(provider, "out").inc(record["bytes_out"])
        if attempts and attempts[-1]["verdict"] == "Success" and attempts[0]["account"] != attempts[-1]["account"]:
            self._failovers.labels(provider).inc()
        if any(entry.get("may_be_billed_twice") for entry in attempts[:-1]):
            self._twice.labels(provider).inc()
        for kind, tokens in (record.get("usage") or {}).items():
            if tokens:
                self._tokens.labels(account, self._model(str(record.get("model") or "")), kind).inc(tokens)

    def _model(self, model: str) -> str:
        if model not in self._models:
            if len(self._models) >= MODELS_KEPT:
                return OTHER
            self._models.add(model)
        return model

    # -- what is shown ------------------------------------------------------------------------------------------

    def collect(self) -> Iterator[Metric]:
        """How things are now."""
        now = self.gauges
        info = GaugeMetricFamily("balancer_info", "Always 1", labels=("version",))
        info.add_metric((__version__,), 1)
        yield info
        yield _by_account("in_flight", "Attempts under way", now.running)
        yield _by_account("cooldown_seconds", "Until the longest cooldown ends; 0: none", now.cooling)
        breakers = {name: BREAKER[state] for name, state in now.breakers.items()}
        yield _by_account("breaker_state", "0 closed, 1 half-open, 2 open", breakers)
        yield GaugeMetricFamily("balancer_queue", "Requests that wait for a slot", value=now.waiting)
        yield GaugeMetricFamily("balancer_store_up", "0: the store cannot be written", value=now.store_works)
        yield GaugeMetricFamily("balancer_config_up", "0: the newest configuration is refused", value=now.config_works)
        yield CounterMetricFamily("balancer_audit_dropped", "Lost lines of the audit log", value=now.dropped)


def _by_account(name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"balancer_{name}", text, labels=("account",))
    for account, value in values.items():
        family.add_metric((account,), value)
    return family


def _status(status: object) -> str:
    """`2xx`, `4xx`, ...; `none`: the client left before there was an answer."""
    return f"{status // 100}xx" if isinstance(status, int) else "none"
