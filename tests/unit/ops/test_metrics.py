"""The metrics: what is counted, and the page that shows it."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from recorded import AT, OPUS, all_steps, record, tried

from mitm_balancer.ops.events import Event, EventType
from mitm_balancer.ops.exporter import Exporter, ExporterError, is_own_name
from mitm_balancer.ops.metrics import MODELS_KEPT, Gauges, Metrics

USAGE = {"input": 1000, "output": 50, "cache_read": 900, "cache_write": 0, "reasoning": 0}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"balancer_{name}", labels)


def counted(*records: dict[str, object]) -> Metrics:
    metrics = Metrics()
    for data in records:
        for step in all_steps(data):
            metrics.step(step)
    return metrics


def test_a_failover_is_counted() -> None:
    limited = tried("anthropic/a", "RateLimited", head=0.1)
    served = tried("anthropic/b", head=0.2, first_event=0.05)
    metrics = counted(record(limited, served, usage=USAGE, queued_seconds=0.04))

    assert value(metrics, "requests_total", provider="anthropic", ended="complete") == 1
    assert value(metrics, "answers_total", provider="anthropic", account="anthropic/b", status="2xx") == 1
    attempts = [("anthropic/a", "RateLimited"), ("anthropic/b", "Success")]
    for account, verdict in attempts:
        assert value(metrics, "attempts_total", provider="anthropic", account=account, verdict=verdict) == 1
    assert value(metrics, "redispatches_total", provider="anthropic") == 1
    assert value(metrics, "failovers_total", provider="anthropic") == 1
    assert value(metrics, "tokens_total", account="anthropic/b", model=OPUS, kind="input") == 1000
    assert value(metrics, "tokens_total", account="anthropic/b", model=OPUS, kind="cache_write") is None
    assert value(metrics, "bytes_total", provider="anthropic", direction="in") == 100
    assert value(metrics, "bytes_total", provider="anthropic", direction="out") == 5000


def test_times_are_measured() -> None:
    metrics = counted(
        record(tried("a/b", head=0.2, first_event=0.05), provider="a", queued_seconds=0.2, held_seconds=0.1)
    )

    def total(name: str) -> float | None:
        found = value(metrics, f"{name}_sum", provider="a")
        return None if found is None else round(found, 6)

    assert total("request_seconds") == 2.0
    assert total("commit_seconds") == 0.6
    assert total("head_seconds") == 0.2
    assert total("first_event_seconds") == 0.05
    assert total("queue_seconds") == 0.2
    assert total("overhead_seconds") == 0.05, "the commit less the attempt (0.25), the queue and the hold"


def test_a_second_try_of_what_may_be_billed_is_counted() -> None:
    unsure = tried("a/b", "TransportFailure", billed="maybe", may_be_billed_twice=True)

    metrics = counted(record(unsure, tried("a/c"), provider="a"), record(unsure, provider="a"))

    assert value(metrics, "maybe_billed_twice_total", provider="a") == 1, "the last one was not sent again"


@pytest.mark.parametrize(
    ("change", "ended", "status"),
    [
        ({"ended": "broken: the stream ended without its end marker"}, "broken", "2xx"),
        ({"ended": "cancelled by the client", "status": None}, "cancelled by the client", "none"),
        ({"status": 429, "account": "none"}, "complete", "4xx"),
    ],
)
def test_ends_are_told_apart_with_bounded_labels(change: dict[str, object], ended: str, status: str) -> None:
    metrics = counted(record(tried("a/b"), provider="a", **{"account": "a/b", **change}))

    assert value(metrics, "requests_total", provider="a", ended=ended) == 1
    account = str(change.get("account", "a/b"))
    assert value(metrics, "answers_total", provider="a", account=account, status=status) == 1


def test_models_are_bounded() -> None:
    metrics = counted(*(record(tried("a/b"), model=f"m{n}", usage=USAGE) for n in range(MODELS_KEPT + 20)))

    models = {
        sample.labels["model"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "balancer_tokens_total"
    }
    assert len(models) == MODELS_KEPT + 1
    assert value(metrics, "tokens_total", account="a/b", model="other", kind="output") == 20 * 50


def test_events_are_counted() -> None:
    metrics = Metrics()
    told = [
        Event(EventType.COOLDOWN_STARTED, AT, "a/b", data={"verdict": "RateLimited"}),
        Event(EventType.BREAKER_OPENED, AT, "a/b"),
        Event(EventType.TOKEN_REFRESHED, AT, "a/b"),
        Event(EventType.REAUTH_REQUIRED, AT, "a/b"),
        Event(EventType.FAILOVER_PERFORMED, AT, "a/b"),
        Event(EventType.EXHAUSTED, AT, "a"),
    ]
    for event in told:
        metrics.event(event)

    assert value(metrics, "cooldowns_total", account="a/b", verdict="RateLimited") == 1
    for name in ("breaker_opened", "token_refreshes", "reauth_required"):
        assert value(metrics, f"{name}_total", account="a/b") == 1
    for name in ("switches", "exhausted"):
        assert value(metrics, f"{name}_total", provider="a") == 1
    for event in told:
        assert value(metrics, "events_total", type=event.type) == 1


def test_how_things_are() -> None:
    metrics = Metrics()
    metrics.gauges = Gauges({"a/b": 3}, 7, {"a/b": 12.5}, {"a/b": "half-open"}, False, False, 4)

    assert value(metrics, "in_flight", account="a/b") == 3
    assert value(metrics, "cooldown_seconds", account="a/b") == 12.5
    assert value(metrics, "breaker_state", account="a/b") == 1
    names = ("queue", "store_up", "config_up", "audit_dropped_total")
    assert [value(metrics, name) for name in names] == [7, 0, 0, 4]


# -- the page -------------------------------------------------------------------------------------------------------


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    found = Exporter(counted(record(tried("a/b"), provider="a")).registry, "127.0.0.1", 0)
    found.start()
    yield found
    found.close()


def ask(port: int, path: str = "/metrics", method: str = "GET", host: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_prometheus_can_read_it(exporter: Exporter) -> None:
    status, text = ask(exporter.port)

    assert status == 200
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {"balancer_requests", "balancer_request_seconds", "balancer_info"} <= families
    assert "_created" not in text


def test_nothing_else_is_there(exporter: Exporter) -> None:
    assert ask(exporter.port, "/")[0] == 404
    assert ask(exporter.port, method="POST")[0] == 405


def test_a_web_page_cannot_read_it_under_a_name_of_its_own(exporter: Exporter) -> None:
    assert ask(exporter.port, host="attacker.example")[0] == 403
    assert ask(exporter.port, host=f"localhost:{exporter.port}")[0] == 200


@pytest.mark.parametrize(
    ("header", "own"),
    [
        ("127.0.0.1:9464", True), ("127.0.0.1", True), ("[::1]:9464", True), ("[::1]", True), ("localhost", True),
        ("", True), ("10.0.0.5:9464", True), ("evil.example:9464", False), ("127.0.0.1.evil.example", False),
    ],
)  # fmt: skip
def test_names_of_ours(header: str, own: bool) -> None:
    assert is_own_name(header, "127.0.0.1") is own


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ExporterError, match=f"no metrics on 127.0.0.1:{port}: Address already in use"):
            Exporter(Metrics().registry, "127.0.0.1", port).start()


def test_its_end_frees_the_port() -> None:
    first = Exporter(Metrics().registry, "127.0.0.1", 0)
    first.start()
    first.close()
    again = Exporter(Metrics().registry, "127.0.0.1", first.port)
    again.start()
    again.close()
