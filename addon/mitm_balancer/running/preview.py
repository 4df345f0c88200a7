"""Who would serve now, worked out from what is stored: for the eyes of an operator, beside a proxy or without one.

The same parts decide as in the proxy, with what the store knows: cooldowns, operator states, limit windows, the
accounts in use. Breakers and running requests are in the proxy's memory only, and are not seen here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from mitm_balancer.config import AccountSpec, Config
from mitm_balancer.core.admission import Admission
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.chain import Chain, Link
from mitm_balancer.core.changes import Changes
from mitm_balancer.core.health import Health
from mitm_balancer.core.matrix import renamed
from mitm_balancer.core.priority import Priority
from mitm_balancer.providers.entries import dialects, main_question
from mitm_balancer.providers.model import Provider
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy.runtime import ProviderPool, Runtime
from mitm_balancer.proxy.standin import ANY_MODEL, StandIn, stand_ins
from mitm_balancer.running.bookkeeping import Bookkeeper
from mitm_balancer.running.choices import Choices
from mitm_balancer.running.circumstances import circumstances, target, windows_to_evidence
from mitm_balancer.running.in_use import InUse
from mitm_balancer.running.policies import dispatch_policy
from mitm_balancer.running.pools import make_account, put
from mitm_balancer.running.recording import restore_cooldowns
from mitm_balancer.store import Store
from mitm_balancer.upstream.base import Timeouts, WireRequest


@dataclass(frozen=True, slots=True)
class Pick:
    """Who would serve a new conversation of a provider's clients."""

    provider: str
    account: str = ""
    """Empty: nobody; the clients' own credential goes."""
    model: str = ""
    """What it is asked for, where that is another name; empty: the client's model."""
    because: str = ""
    passed_over: tuple[tuple[str, str, float | None], ...] = ()
    """(account, why, seconds until it is back) of those in front of it."""


def picks(config: Config, store: Store | None, unusable: Mapping[str, str], model: str = "") -> list[Pick]:
    """One for each provider whose clients are intercepted. `config` is the one that counts, `unusable` tells why some
    accounts have nothing to send; `model` "" is any."""
    runtime = _runtime(config, store, unusable)
    return [_pick(runtime, pool, model) for pool in runtime.pools.values()]


def _pick(runtime: Runtime, pool: ProviderPool, model: str) -> Pick:
    home, matrix, now = pool.provider.name, runtime.matrix, runtime.clock()
    links = [Link(pool.priority)] if matrix.serves_itself(home) or not runtime.policy.failover else []
    others = _others(runtime, pool, model)
    before = [other for other in others if matrix.leads(other.row, home)]
    after = [other for other in others if other not in before]
    links = [*map(_link, before), *links, *map(_link, after)]
    found = Chain(links, runtime.around).select(model, runtime.health, now)
    passed_over = tuple(
        (r.name, r.block.reason, None if r.block.until is None else max(0.0, r.block.until - now))
        for r in found.rejected
    )
    if found.chosen is None:
        return Pick(home, because="nobody can serve", passed_over=passed_over)
    other = next((other for other in others if found.chosen.name in other.pool.accounts), None)
    word = "" if other is None or other.row.model is None else other.model
    return Pick(home, found.chosen.name, word, found.because, passed_over)


def _others(runtime: Runtime, pool: ProviderPool, model: str) -> Sequence[StandIn]:
    """By the provider's own dialect if there are any, else by another that it speaks."""
    if not runtime.policy.failover:
        return ()
    spoken = [pool.provider.dialect, *sorted(dialects(pool.provider) - {pool.provider.dialect})]
    for dialect in spoken:
        asked = main_question(dialect)
        found = list(stand_ins(runtime.pools, runtime.matrix, pool.provider, asked, model or ANY_MODEL))
        if found:
            return found
    return ()


def _link(other: StandIn) -> Link:
    # A model that nobody has named passes every account's globs.
    word = renamed(other.row.model, "" if other.model == ANY_MODEL else other.model)
    return Link(other.pool.priority, word or "", "", f"in place of {other.home.name}")


def _runtime(config: Config, store: Store | None, unusable: Mapping[str, str]) -> Runtime:
    changes = Changes()
    admission = Admission(changes=changes)
    runtime = Runtime(
        registry=Registry(()),
        pools={},
        health=Health(random.Random(), changes=changes),  # noqa: S311 - jitter that nobody waits for
        upstream=_Nowhere(),
        around=circumstances(admission),
        admission=admission,
    )
    in_use = InUse(store)

    def make(provider: Provider, specs: list[AccountSpec]) -> ProviderPool:
        ordered = sorted(specs, key=lambda spec: spec.priority)
        targets = [target(spec, unusable.get(spec.name, "")) for spec in ordered]
        accounts = {spec.name: make_account(spec, provider, None) for spec in specs}
        pool = ProviderPool(
            provider, accounts, Priority(targets, config.priority.strategy, runtime.around), RetryBudget()
        )
        in_use.restore(pool)
        return pool

    put(runtime, config, make)
    runtime.policy = dispatch_policy(config)
    if store is not None:
        runtime.around.states.take(store.account_flags())
        restore_cooldowns(runtime.health, store.cooldowns(), time.time(), runtime.clock())
        runtime.book.listener = windows_to_evidence(runtime)
        Bookkeeper(runtime.book, store).restore(time.time())
        for provider, name in Choices(in_use.chosen).fresh(store.settings()).items():
            if (pool := runtime.pools.get(provider)) is not None and pool.priority.find(name) is not None:
                pool.priority.active = name
    return runtime


class _Nowhere:
    """Nothing is sent from here."""

    async def send(self, request: WireRequest, timeouts: Timeouts) -> NoReturn:
        raise NotImplementedError

    async def aclose(self) -> None: ...
