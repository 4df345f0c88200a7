"""One look at a home: the configuration, what the store knows, and what a running proxy has left there."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitm_balancer.cli.bus import FRESH, Proxy, seen
from mitm_balancer.cli.picture import AccountPicture, Cooldown, Picture, ProxyPicture
from mitm_balancer.cli.places import expected_config
from mitm_balancer.cli.roster_view import Roster, roster
from mitm_balancer.cli.status_usage import UsagePicture, usage_pictures
from mitm_balancer.config import AccountSpec, Stored
from mitm_balancer.core.durations import countdown
from mitm_balancer.operations import Flags, overrides, serving
from mitm_balancer.operations.capture_window import SETTING, until_of
from mitm_balancer.store import CooldownRow, Store, remaining
from mitm_balancer.store.snapshots import listed
from mitm_balancer.store.state_keys import LIVE


def take(args: argparse.Namespace, home: Path, store: Store | None) -> Picture:
    """Look once. Reads only; a home without a store is one without cooldowns and stored accounts."""
    now = time.time()
    proxy = seen(home, store)
    # A running proxy has told which stored accounts cannot be used; then the vault need not be opened for it.
    known = roster(args, home, store, names_only=proxy is not None)
    settings = store.settings() if store is not None else {}
    counts = overrides.apply(known.config, settings)
    state = _row(store, "proxy", proxy)
    live = _row(store, LIVE, proxy)
    before = (store.get_state(LIVE) if store is not None else None) or {}
    health = store.healthy if store is not None else None
    cooling = _cooling(store.cooldowns() if store is not None else [], now)
    usage = _usage(store, now)
    flags: Flags = store.account_flags() if store is not None else {}
    doings = _table(live or before, "accounts")
    if proxy is None:  # what ran is over; what was last used, and what went wrong, is still true
        doings = {name: {k: v for k, v in told.items() if k in _LASTING} for name, told in doings.items()}
    # Until it has published: the accounts that served last.
    active = live.get("next") or state.get("active") or {}
    return Picture(
        at=now,
        home=str(home),
        config=str(counts.source) if counts.source else None,
        config_file=str(expected_config(args, home)),
        balancing=counts.balancing,
        strategy=counts.priority.strategy,
        proxy=_proxy(proxy, state, live),
        problems=_problems(health, state, known, now),
        overrides=tuple(overrides.told(known.config, settings)),
        accounts=tuple(
            _account(
                spec,
                known,
                flags,
                cooling.get(spec.name, ()),
                usage.get(spec.name, UsagePicture()),
                state,
                active,
                doings.get(spec.name, {}),
            )
            for spec in counts.accounts
        ),
        config_problem=bool(known.mistakes or state.get("config_problem")),
        pending=_pending(store),
        capture_until=_capture_until(settings, now),
    )


_LASTING = ("last_used", "last_error", "failures")


def _row(store: Store | None, key: str, proxy: Proxy | None) -> Mapping[str, Any]:
    """A row that this very proxy left; empty when it is of another one, or of none yet."""
    found = store.get_state(key) if store is not None and proxy is not None else None
    return found if found is not None and proxy is not None and found.get("pid") == proxy.pid else {}


def _table(row: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
    found = row.get(key)
    return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}


def _cooling(rows: list[CooldownRow], now: float) -> dict[str, tuple[Cooldown, ...]]:
    found: dict[str, list[Cooldown]] = {}
    for row in rows:
        if (left := remaining(row, now)) > 0:
            entry = Cooldown(row.model, row.reason, round(left, 1), round(now + left, 1))
            found.setdefault(row.name, []).append(entry)
    return {name: tuple(sorted(group, key=lambda c: c.model)) for name, group in found.items()}


def _usage(store: Store | None, now: float) -> dict[str, UsagePicture]:
    if store is None:
        return {}
    today = time.strftime("%Y-%m-%d", time.localtime(now))
    return usage_pictures(store.usage(today), store.windows(), now, listed(store))


def _pending(store: Store | None) -> int:
    found = store.read("SELECT count(*) FROM pending_accounts") if store is not None else []
    return int(found[0][0]) if found else 0


def _capture_until(settings: Mapping[str, Any], now: float) -> float | None:
    until = until_of(settings.get(SETTING))
    return until if until > now else None


def _problems(health: str | None, state: Mapping[str, Any], known: Roster, now: float) -> tuple[str, ...]:
    """Each once: what this process sees, then what the proxy says."""
    told = state.get("config_problems") or ([state["config_problem"]] if state.get("config_problem") else [])
    mistakes = told or ([known.mistakes] if known.mistakes else [])
    silent = now - float(state.get("beat") or now)
    old = f"the proxy has told nothing for {countdown(silent)}: what it does may be older" if silent > FRESH else ""
    untold = (*state.get("account_problems", ()), *state.get("observing_problems", ()))
    found = (old, health, state.get("store_problem"), *mistakes, *known.problems, *untold)
    return tuple(dict.fromkeys(str(problem) for problem in found if problem))


def _proxy(proxy: Proxy | None, state: Mapping[str, Any], live: Mapping[str, Any]) -> ProxyPicture | None:
    if proxy is None:
        return None
    counted = {name: live[name] for name in _LIVE if name in live}
    return ProxyPicture(proxy.pid, proxy.url, state.get("version"), state.get("started"), **counted)


_LIVE = ("running", "waiting", "concurrency_limit", "queue_limit", "sockets")


def _account(
    spec: AccountSpec,
    known: Roster,
    flags: Flags,
    cooldowns: tuple[Cooldown, ...],
    usage: UsagePicture,
    state: Mapping[str, Any],
    active: Mapping[str, Any],
    doings: Mapping[str, Any],
) -> AccountPicture:
    problem = known.unusable.get(spec.name) or str((state.get("credential_problems") or {}).get(spec.name, ""))
    return AccountPicture(
        name=spec.name,
        provider=spec.provider,
        alias=spec.alias,
        state=_word(spec, flags, problem, cooldowns, str(doings.get("breaker", "closed"))),
        active=active.get(spec.provider) == spec.name,
        priority=spec.priority,
        stored=isinstance(spec.credential, Stored),
        problem=problem,
        cooldowns=cooldowns,
        usage=usage,
        **{name: doings[name] for name in _DOINGS if doings.get(name) is not None},
    )


_DOINGS = (
    "in_flight", "sessions", "breaker", "breaker_until", "health", "failure_rate", "latency", "last_used",
    "last_error", "failures",
)  # fmt: skip


def _word(spec: AccountSpec, flags: Flags, problem: str, cooldowns: tuple[Cooldown, ...], breaker: str) -> str:
    """The strongest reason: what only a person changes before what passes by itself."""
    if held := serving(spec, flags):
        return held.partition(" ")[0]
    if problem:
        return "unusable"
    if any(not cooldown.model for cooldown in cooldowns):
        return "cooling"
    if breaker == "open":
        return "failing"
    return "limited" if cooldowns else "ready"
