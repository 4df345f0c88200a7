"""What a proxy knows in memory follows the name of an account."""

import random
import time

import pytest

from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.health import Cooldown, Health
from mitm_balancer.core.priority import Priority
from mitm_balancer.core.session import SessionKeys
from mitm_balancer.core.target import TargetInfo
from mitm_balancer.core.verdict import Outcome, Verdict
from mitm_balancer.providers.anthropic import PROVIDER
from mitm_balancer.providers.limits import Window
from mitm_balancer.providers.registry import Registry
from mitm_balancer.providers.usage import Usage
from mitm_balancer.proxy.activity import Activity, Doings
from mitm_balancer.proxy.runtime import ProviderPool, Runtime
from mitm_balancer.running.renaming import forget, rename_all
from mitm_balancer.upstream.fake import FakeUpstream

A, B = "anthropic/a", "anthropic/b"


def known(activity: Activity) -> Runtime:
    """A runtime that has learnt something of A."""
    priority = Priority([TargetInfo(A, "anthropic"), TargetInfo(B, "anthropic")])
    priority.active = A
    pool = ProviderPool(PROVIDER, {}, priority, RetryBudget())
    runtime = Runtime(
        registry=Registry(()), pools={"anthropic": pool}, health=Health(random.Random(1)), upstream=FakeUpstream()
    )
    runtime.health.restore(Cooldown(A, "", 99.0, 99.0, "limit", Verdict.RATE_LIMITED))
    runtime.around.known.evidence.learnt(A, "", 99.0, 1.0)
    runtime.around.known.vitals.ended(A, "m", Outcome(Verdict.SUCCESS), 0.5, 1.0)
    runtime.sessions.bindings.bind("s", A, 1.0)
    runtime.resources.owners.learn("r", A, time.time())
    runtime.book.add(A, "m", Usage(input=3), time.time())
    runtime.book.windows(A, [Window("5h", 50.0)], time.time())
    activity.accounts[A] = Doings(last_used=7.0)
    return runtime


def facts(runtime: Runtime, activity: Activity, name: str) -> dict[str, object]:
    page = runtime.book.snapshot(time.time())
    keys = SessionKeys("s")
    evidence, vitals = runtime.around.known.evidence, runtime.around.known.vitals
    return {
        "cooldown": runtime.health.cooldown(name, "", 2.0) is not None,
        "evidence": len(list(evidence.readings(name, 2.0))),
        "latency": vitals.latency(name, "m"),
        "session": runtime.sessions.bindings.find(keys, 2.0) == name,
        "resource": runtime.resources.owners.find("r", time.time()) == name,
        "tokens": sum(t.usage.input for t in page.tallies if t.account == name),
        "windows": sum(s.account == name for s in page.windows),
        "used": name in activity.accounts,
        "active": runtime.pools["anthropic"].priority.active == name,
    }


ALL = {
    "cooldown": True, "evidence": 1, "latency": 0.5, "session": True, "resource": True, "tokens": 3, "windows": 1,
    "used": True, "active": True,
}  # fmt: skip
NOTHING = {
    "cooldown": False, "evidence": 0, "latency": None, "session": False, "resource": False, "tokens": 0, "windows": 0,
    "used": False, "active": False,
}  # fmt: skip


@pytest.mark.parametrize("renamed", [{A: "anthropic/new"}, {A: B, B: A}], ids=["one", "swapped"])
def test_all_of_it_is_known_under_the_new_name_and_nothing_under_the_old(renamed: dict[str, str]) -> None:
    activity = Activity()
    runtime = known(activity)
    assert facts(runtime, activity, A) == ALL
    rename_all(runtime, activity, renamed)
    assert facts(runtime, activity, A) == NOTHING
    assert facts(runtime, activity, renamed[A]) == ALL


def test_an_account_that_is_gone_leaves_its_history_only() -> None:
    activity = Activity()
    runtime = known(activity)
    forget(runtime, activity, A)
    left = {"tokens": 3, "session": True, "resource": True, "active": True}
    assert facts(runtime, activity, A) == NOTHING | left
