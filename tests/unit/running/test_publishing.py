"""What the running proxy leaves in the store for those who look."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from mitm_balancer.core.admission import Admission
from mitm_balancer.core.health import Health
from mitm_balancer.core.verdict import Outcome, Verdict
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy.activity import Activity
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.running import publishing
from mitm_balancer.running.circumstances import circumstances
from mitm_balancer.running.publishing import Publisher
from mitm_balancer.store import Store
from mitm_balancer.store.state_keys import LIVE
from mitm_balancer.upstream.fake import FakeUpstream

FAULT = Outcome(Verdict.TRANSIENT_SERVER_FAILURE, "500")


@pytest.fixture
def runtime() -> Runtime:
    admission = Admission()
    return Runtime(
        Registry(()), {}, Health(random.Random(0)), FakeUpstream(), around=circumstances(admission), admission=admission
    )


@pytest.fixture
def store(tmp_path: Path):
    store = Store.open(tmp_path / "home")
    yield store
    store.close()


def published(store: Store) -> dict[str, Any]:
    return store.get_state(LIVE) or {}


def test_only_accounts_of_which_something_is_known_are_told(runtime: Runtime, store: Store) -> None:
    activity = Activity(clock=lambda: 7.0)
    publisher = Publisher(runtime, activity, store)
    assert publisher.now()["accounts"] == {}

    clock = runtime.clock()
    assert runtime.admission.take("a/busy")
    for _ in range(5):
        runtime.health.record("a/sick", "m", FAULT, clock)
    runtime.around.known.vitals.ended("a/quick", "m", Outcome(Verdict.SUCCESS), 0.25, clock)
    runtime.sessions.bindings.bind("s1", "a/home", clock)
    activity.noted("r", {"attempts": [{"account": "a/used", "verdict": "Success"}]})

    told = publisher.accounts()
    assert told.keys() == {"a/busy", "a/sick", "a/quick", "a/home", "a/used"} - {"a/home"}, (
        "sessions are counted seldom"
    )
    assert told["a/busy"] == {"in_flight": 1}
    assert told["a/sick"]["breaker"] == "open"
    assert told["a/sick"]["breaker_until"] == pytest.approx(time.time() + 30, abs=3)
    assert told["a/quick"] == {"health": 1.0, "failure_rate": 0.0, "latency": {"m": 0.25}}
    assert told["a/used"]["last_used"] == 7.0
    assert Publisher(runtime, activity, store).accounts()["a/home"] == {"sessions": 1}


def test_it_is_written_when_it_has_changed_and_not_more_often_than_once_a_second(
    runtime: Runtime, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(publishing.time, "monotonic", lambda: clock[0])
    publisher = Publisher(runtime, Activity(), store)
    publisher.publish_if_changed({"strategy": "priority"})
    first = published(store)
    assert (first["running"], first["strategy"], first["accounts"]) == (0, "priority", {})

    runtime.admission.take("a/b")
    publisher.publish_if_changed({"strategy": "priority"})
    assert published(store) == first, "within the same second"
    clock[0] += 1
    publisher.publish_if_changed({"strategy": "priority"})
    second = published(store)
    assert (second["running"], second["accounts"]) == (1, {"a/b": {"in_flight": 1}})
    clock[0] += 1
    publisher.publish_if_changed({"strategy": "priority"})
    assert published(store) == second, "nothing is new"
    publisher.publish_if_changed({"strategy": "drain"})
    assert published(store)["strategy"] == "drain"
