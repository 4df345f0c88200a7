"""What commands have set lies over what the configuration says, and stays until it is taken back.

The settings live in the store (`Store.settings`). A value that makes no sense is passed over: a row of another version,
or of a hand that edits the database, must not stop traffic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mitm_balancer.config import STRATEGIES, AccountSpec, Config, MatrixEntry, Pin, Priority
from mitm_balancer.config.priority import ACROSS as ACROSS_WORDS
from mitm_balancer.core.matrix import Rename

BALANCING, STRATEGY, MATRIX, ORDER, ACTIVE, PINS = "balancing", "strategy", "matrix", "order", "active", "pins"
"""Keys of the settings.

`balancing`: bool. `strategy`: its name. `across`: its word. `matrix`: [{provider, model, enabled}], the whole list.
`order`: {account: priority}. `pins`: [{account, model, session}]. `active`: {provider: account} is no part of a
configuration: the App obeys it itself.
"""

ACROSS = "across"

ACTIVE_AT = "active_at"
"""{provider: unix seconds of that choice}: the same account chosen again counts again."""


def apply(config: Config, settings: Mapping[str, Any]) -> Config:
    """The configuration as it counts."""
    balancing = settings.get(BALANCING)
    return dataclasses.replace(
        config,
        balancing=balancing if isinstance(balancing, bool) else config.balancing,
        priority=_priority(config.priority, settings),
        accounts=_ordered(config.accounts, settings.get(ORDER)),
    )


def told(config: Config, settings: Mapping[str, Any]) -> list[str]:
    """What differs from the configuration because of a command, for people."""
    counts = apply(config, settings)
    lines = []
    if counts.balancing != config.balancing:
        lines.append(f"balancing is switched {'on' if counts.balancing else 'off'}")
    if counts.priority.strategy != config.priority.strategy:
        lines.append(f"the strategy is {counts.priority.strategy}")
    if counts.priority.across != config.priority.across:
        lines.append(f"across is {counts.priority.across}")
    if counts.priority.providers != config.priority.providers:
        lines.append("the providers have another order")
    before = {spec.name: spec.priority for spec in config.accounts}
    if counts.priority.pins != config.priority.pins:
        lines.append("there are more pins")
    moved = [spec.name for spec in counts.accounts if before[spec.name] != spec.priority]
    if moved:
        lines.append(f"moved in the order: {', '.join(moved)}")
    return lines


def pins(setting: object) -> Iterator[Pin]:
    """The sound ones of the setting."""
    for row in setting if isinstance(setting, list) else ():
        if isinstance(row, dict) and isinstance(row.get("account"), str):
            fields = (row.get(name) for name in ("model", "session"))
            model, session = (found if isinstance(found, str) else "" for found in fields)
            if model or session:
                yield Pin(row["account"], model, session)


def _priority(priority: Priority, settings: Mapping[str, Any]) -> Priority:
    strategy, across, matrix = (settings.get(key) for key in (STRATEGY, ACROSS, MATRIX))
    if isinstance(strategy, str) and strategy in STRATEGIES:
        priority = dataclasses.replace(priority, strategy=strategy)
    if (word := next((known for known in ACROSS_WORDS if known == across), None)) is not None:
        priority = dataclasses.replace(priority, across=word)
    if isinstance(matrix, list):
        entries = {row.provider: row for row in map(_entry, reversed(matrix)) if row is not None}
        priority = dataclasses.replace(priority, providers=tuple(reversed(entries.values())))
    given = tuple(pins(settings.get(PINS)))  # before those of the file: the first that fits decides
    return dataclasses.replace(priority, pins=(*given, *priority.pins)) if given else priority


def _entry(row: object) -> MatrixEntry | None:
    if not isinstance(row, dict) or not isinstance(row.get("provider"), str):
        return None
    return MatrixEntry(row["provider"], _model(row.get("model")), row.get("enabled", True) is not False)


def _model(model: object) -> Rename:
    if isinstance(model, dict):
        return tuple((glob, name) for glob, name in model.items() if isinstance(name, str)) or None
    return model if isinstance(model, str) and model else None


def _ordered(accounts: Sequence[AccountSpec], order: object) -> tuple[AccountSpec, ...]:
    if not isinstance(order, dict):
        return tuple(accounts)
    return tuple(
        dataclasses.replace(spec, priority=given) if type(given := order.get(spec.name)) is int else spec
        for spec in accounts
    )
