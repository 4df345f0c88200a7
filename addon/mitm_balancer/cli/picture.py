"""What `status` shows: the accounts of the configuration, with what the store and a running proxy know of them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.bus import Proxy, opened, proxy_state, running
from mitm_balancer.cli.status_usage import UsagePicture, usage_pictures
from mitm_balancer.config import AccountSpec, Config, Stored
from mitm_balancer.roster import merge
from mitm_balancer.store import CooldownRow, remaining
from mitm_balancer.store.snapshots import listed


@dataclass(frozen=True, slots=True)
class Cooldown:
    """`model` is "" for all models; `seconds` is what is left."""

    model: str
    reason: str
    seconds: float
    until: float


@dataclass(frozen=True, slots=True)
class AccountPicture:
    """`state`: ready, cooling (all models), limited (some), unusable (its credential), disabled."""

    name: str
    state: str
    active: bool
    priority: int
    problem: str = ""
    cooldowns: tuple[Cooldown, ...] = ()
    usage: UsagePicture = field(default_factory=UsagePicture)

    @property
    def back_in(self) -> float | None:
        """Seconds until it serves every model again."""
        return max((cooldown.seconds for cooldown in self.cooldowns), default=None)


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything at one moment; `at` is wall-clock seconds."""

    at: float
    home: str
    config: str | None
    config_file: str
    """Where the configuration is, or would be read from."""
    balancing: bool
    proxy: dict[str, Any] | None
    problems: tuple[str, ...]
    accounts: tuple[AccountPicture, ...] = field(default=())
    config_problem: bool = False
    """The file has a mistake; what is shown is what the proxy read before."""

    def as_json(self) -> dict[str, Any]:
        data = asdict(self)
        for entry, account in zip(data["accounts"], self.accounts, strict=True):
            entry["back_in"] = account.back_in
        return data


def take(home: Path, config: Config, config_file: Path) -> Picture:
    """Look once. Reads only; a home without a store is one without cooldowns and stored accounts."""
    now = time.time()
    with opened(home) as store:
        stored = AccountBook(store, Vault.open(home)).all() if store is not None else []
        rows = store.cooldowns() if store is not None else []
        health = store.healthy if store is not None else None
        today = store.usage(time.strftime("%Y-%m-%d", time.localtime(now))) if store is not None else []
        polled = listed(store) if store is not None else {}
        usage = usage_pictures(today, store.windows() if store is not None else [], now, polled)
    merged, account_problems = merge(config, stored)
    unusable = {account.name: account.problem for account in stored if account.problem}
    proxy = running(home)
    state = proxy_state(home) if proxy is not None else {}
    if proxy is not None and state.get("pid") != proxy.pid:
        state = {}  # of another proxy, or of none yet
    cooling: dict[str, list[Cooldown]] = {}
    for row in rows:
        if (left := remaining(row, now)) > 0:
            cooling.setdefault(row.name, []).append(_cooldown(row, left, now))
    return Picture(
        at=now,
        home=str(home),
        config=str(config.source) if config.source else None,
        config_file=str(config_file),
        balancing=config.balancing,
        proxy=_proxy(proxy, state),
        problems=tuple(
            str(problem)
            for problem in (health, state.get("store_problem"), state.get("config_problem"), *account_problems)
            if problem
        ),
        accounts=tuple(
            _account(
                spec,
                cooling.get(spec.name, []),
                usage.get(spec.name, UsagePicture()),
                state,
                unusable.get(spec.name, "") if isinstance(spec.credential, Stored) else "",
            )
            for spec in merged.accounts
        ),
        config_problem=bool(state.get("config_problem")),
    )


def _cooldown(row: CooldownRow, left: float, now: float) -> Cooldown:
    return Cooldown(row.model, row.reason, round(left, 1), round(now + left, 1))


def _proxy(proxy: Proxy | None, state: dict[str, Any]) -> dict[str, Any] | None:
    if proxy is None:
        return None
    return {"pid": proxy.pid, "url": proxy.url, "version": state.get("version"), "started": state.get("started")}


def _account(
    spec: AccountSpec, cooldowns: list[Cooldown], usage: UsagePicture, state: dict[str, Any], unusable: str
) -> AccountPicture:
    problem = unusable or str((state.get("credential_problems") or {}).get(spec.name, ""))
    if not spec.enabled:
        word = "disabled"
    elif problem:
        word = "unusable"
    elif any(not cooldown.model for cooldown in cooldowns):
        word = "cooling"
    else:
        word = "limited" if cooldowns else "ready"
    active = (state.get("active") or {}).get(spec.provider) == spec.name
    ordered = tuple(sorted(cooldowns, key=lambda cooldown: cooldown.model))
    return AccountPicture(spec.name, word, active, spec.priority, problem, ordered, usage)
