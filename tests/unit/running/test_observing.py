"""What the proxy tells of itself, put together: changes that nobody announces, and what commands have left."""

from __future__ import annotations

import json
import random
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mitm_balancer.config import Config, Metrics, parse
from mitm_balancer.config.observing import Address
from mitm_balancer.core.admission import Admission
from mitm_balancer.core.health import Health
from mitm_balancer.ops.events import EventType
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.running import observing
from mitm_balancer.running.circumstances import circumstances
from mitm_balancer.running.observing import Observing
from mitm_balancer.running.recording import Recording
from mitm_balancer.store import KnownRows, Store
from mitm_balancer.upstream.fake import FakeUpstream


def eventually(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class Proxy:
    """As much of the App as this needs."""

    def __init__(self, home: Path, config: Config) -> None:
        self.home = home
        self.store = Store.open(home)
        self.recording = Recording(self.store, KnownRows())
        admission = Admission()
        self.runtime = Runtime(
            Registry(()), {}, Health(random.Random(1)), FakeUpstream(()),
            around=circumstances(admission), admission=admission, recorder=self.recording,
        )  # fmt: skip
        self.observing = Observing(home, self.store, self.recording, self.runtime)
        self.observing.configure(config)

    @property
    def events(self) -> list[str]:
        path = self.home / "audit.ndjson"
        return [json.loads(line)["event"] for line in path.read_text().splitlines()] if path.exists() else []

    def close(self) -> None:
        self.observing.close()
        self.store.close()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    found = Proxy(tmp_path / "home", Config())
    yield found
    found.close()


def test_trouble_of_the_store_is_told_once_and_so_is_its_end(proxy: Proxy) -> None:
    with closing(sqlite3.connect(proxy.home / "balancer.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        proxy.store.put_state("x", {})
        eventually(lambda: proxy.store.healthy)
        for _ in range(3):
            proxy.observing.look(())
        eventually(lambda: "store_trouble" in proxy.events)
        other.execute("ROLLBACK")
    eventually(lambda: proxy.store.healthy is None)
    for _ in range(3):
        proxy.observing.look(())

    eventually(lambda: proxy.events == ["store_trouble", "store_recovered"])


def test_a_bad_configuration_is_told_once_until_it_changes(proxy: Proxy) -> None:
    for problems in ((), ("c:1: a",), ("c:1: a",), ("c:2: b",), (), ("c:1: a",)):
        proxy.observing.look(problems)

    eventually(lambda: proxy.events == ["config_rejected"] * 3)


def test_what_was_there_before_the_start_and_what_is_our_own_is_not_heard(tmp_path: Path) -> None:
    early = Store.open(tmp_path / "home")
    early.add_event("account_saved", "a/old")
    early.close()
    proxy = Proxy(tmp_path / "home", Config())
    proxy.observing.hear()
    proxy.recording.event(EventType.OPERATOR_CLEARED, "a/b")
    command = Store.open(tmp_path / "home")
    command.add_event("operator_paused", "a/b")
    command.close()
    eventually(lambda: len(proxy.store.events()) == 3)
    for _ in range(3):
        proxy.observing.hear()

    proxy.close()

    assert sorted(proxy.events) == ["operator_cleared", "operator_paused", "proxy_stopped"]


def test_the_same_configuration_changes_nothing(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recording, "listen", lambda *_: pytest.fail("the listeners were replaced"))

    proxy.observing.configure(Config())


def test_a_port_that_comes_free_is_taken(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "LISTEN_AGAIN", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        proxy.observing.configure(Config(metrics=Metrics(Address("127.0.0.1", port))))
        assert proxy.observing.problems == (f"no metrics on 127.0.0.1:{port}: Address already in use",)

    def again() -> bool:
        proxy.observing.look(())
        return proxy.observing.problems == ()

    eventually(again)
    socket.create_connection(("127.0.0.1", port), 5).close()


def test_a_log_that_cannot_be_written_is_a_problem_of_the_status(proxy: Proxy, tmp_path: Path) -> None:
    proxy.observing.configure(parse(f"audit: {{to: {tmp_path}/no/such/folder/a}}", "c"))
    proxy.recording.event(EventType.PROXY_STARTED)

    eventually(lambda: proxy.observing.problems)

    assert "No such file or directory" in proxy.observing.problems[0]
