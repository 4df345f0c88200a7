"""What counts now: the configuration, the stored accounts, and what commands have set, put where requests look."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from mitm_balancer.accounts import roster_row
from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.roster import merge
from mitm_balancer.config import AccountSpec, Config, Stored
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.priority import Priority
from mitm_balancer.operations import overrides
from mitm_balancer.providers.model import Provider
from mitm_balancer.proxy.runtime import ProviderPool, Runtime
from mitm_balancer.running import pools
from mitm_balancer.running.choices import Choices
from mitm_balancer.running.circumstances import target
from mitm_balancer.running.declared import Declared
from mitm_balancer.running.in_use import InUse
from mitm_balancer.running.policies import breaker_policy, dispatch_policy, limits
from mitm_balancer.running.stored_accounts import StoredAccounts
from mitm_balancer.secrets import Secret
from mitm_balancer.store import Store
from mitm_balancer.store.state_keys import ROSTER

logger = logging.getLogger(__name__)


class InForce:
    """One App's. `merged` has the stored accounts in it; `effective` is what counts, with the settings over it."""

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        store: Store | None,
        stored: StoredAccounts,
        declared: Declared,
        renewable: Callable[[str], bool],
    ) -> None:
        """Reads the store: blocks. The App sets `settings` and `pace`, which belong to parts that need this one.

        `renewable`: whether the login of a stored account, by its name, renews itself.
        """
        self._runtime, self._store = runtime, store
        self._stored, self._declared, self._renews = stored, declared, renewable
        self._in_use = InUse(store)
        self._choices = Choices(self._in_use.chosen)
        self._roster: dict[str, Any] = {}
        self.merged = self.effective = config
        self.problems: tuple[str, ...] = ()
        """What is wrong with some accounts, and holds up nobody else."""
        self.told: Mapping[str, Any] = {}
        """It, for the status."""
        self.settings: Callable[[], Mapping[str, Any]] = dict
        """What commands have set."""
        self.pace: Callable[[], None] = lambda: None
        """Hears of every change: the polls go on with the accounts that there are."""

    def put(self, config: Config) -> None:
        """Put this configuration in force for new requests; running ones keep what they have."""
        self._merge(config)
        self.apply()

    def apply(self) -> None:
        """The same configuration again: credentials or settings are others."""
        config = self.effective
        pools.put(self._runtime, config, self._pool)
        self._runtime.policy = dispatch_policy(config)
        self._runtime.limits = limits(config.policy)
        self._runtime.health.breaker = breaker_policy(config.policy)
        self._obey_choices()
        self.pace()

    def secret(self, spec: AccountSpec) -> Secret | None:
        """What this account sends; None: not known (yet)."""
        return (self._stored if isinstance(spec.credential, Stored) else self._declared).secrets.get(spec.name)

    def disabled(self, account: AccountSpec | StoredAccount) -> bool:
        """Whether the operator has switched it off."""
        return self._runtime.around.states.of(account.name, account.provider) == "disabled"

    def rename(self, renamed: Mapping[str, str]) -> None:
        """Accounts have other names now: old -> new."""
        self._choices.rename(renamed)

    def save_if_changed(self) -> None:
        """Which accounts are in use is known after a restart."""
        self._in_use.save_if_changed(self._runtime.pools, self._choices.obeyed)

    def _merge(self, config: Config) -> None:
        merged, problems = merge(config, self._stored.accounts)
        for problem in problems:
            if problem not in self.problems:
                logger.warning("mitm-balancer: %s", problem)
        self.problems = problems
        settings = self.settings()
        self.merged, self.effective = merged, overrides.apply(merged, settings)
        self.told = {
            "balancing": self.effective.balancing,
            "strategy": self.effective.priority.strategy,
            "overrides": overrides.told(merged, settings),
        }
        if self._store is not None and (row := roster_row.row(merged)) != self._roster:
            # Only news: two proxies of one home would go on waking each other.
            self._roster = row
            self._store.put_state(ROSTER, row)

    def _obey_choices(self) -> None:
        """New work goes to the account that the user chose; once, because a failover may move it on."""
        settings = self.settings()
        for provider, name in self._choices.fresh(settings).items():
            pool = self._runtime.pools.get(provider)
            if pool is not None and pool.priority.find(name) is not None:
                pool.priority.active = name
                self._choices.obey(provider, settings)

    def _pool(self, provider: Provider, specs: list[AccountSpec]) -> ProviderPool:
        old = self._runtime.pools.get(provider.name)
        targets = [
            target(spec, self._unusable(spec))
            for spec in sorted(specs, key=lambda spec: spec.priority)  # stable: declaration order breaks ties
        ]
        priority = Priority(targets, self.effective.priority.strategy, self._runtime.around)
        priority.adopt(old.priority if old is not None else None)
        accounts = {
            spec.name: pools.make_account(spec, provider, self.secret(spec), renewable=self._renewable(spec))
            for spec in specs
        }
        budget = old.budget if old is not None else RetryBudget()
        budget.reserve = float(self.effective.policy.retry_budget)
        pool = ProviderPool(provider, accounts, priority, budget)
        if old is None:
            self._in_use.restore(pool)
        return pool

    def _renewable(self, spec: AccountSpec) -> bool:
        return isinstance(spec.credential, Stored) and self._renews(spec.name)

    def _unusable(self, spec: AccountSpec) -> str:
        """Why this account has no credential to send, or ""."""
        problems = (self._stored if isinstance(spec.credential, Stored) else self._declared).problems
        problem = problems.get(spec.name, "")
        return problem or ("" if self.secret(spec) is not None else "its credential is still being read")
