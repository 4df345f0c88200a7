"""What a running proxy knows under an account's name: it follows a rename, and goes with an account that is gone.

Requests that run keep the old name to their end; what they report then is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping

from mitm_balancer.proxy.activity import Activity
from mitm_balancer.proxy.runtime import Runtime


def rename_all(runtime: Runtime, activity: Activity, renamed: Mapping[str, str]) -> None:
    """Old name -> new name; two that changed names with each other keep apart on the way."""
    on_the_way = {old: f"\0{old}" for old in renamed if old in renamed.values()}
    for old, between in on_the_way.items():
        rename(runtime, activity, old, between)
    for old, new in renamed.items():
        rename(runtime, activity, on_the_way.get(old, old), new)


def rename(runtime: Runtime, activity: Activity, old: str, new: str) -> None:
    """Everything that was learnt of `old` is known of `new`."""
    known = runtime.around.known
    for part in (runtime.health, known.evidence, known.vitals, runtime.book, activity):
        part.rename(old, new)
    runtime.sessions.bindings.rename(old, new)
    runtime.resources.owners.rename(old, new)
    for pool in runtime.pools.values():
        pool.priority.rename(old, new)


def forget(runtime: Runtime, activity: Activity, name: str) -> None:
    """Its limits, faults and doings say nothing about a later account of that name. Its usage is history, and stays."""
    known = runtime.around.known
    runtime.health.clear(name)
    for part in (known.evidence, known.vitals, runtime.book, activity):
        part.forget(name)
