"""The accounts as the running proxy has them, left in the store: what holds while the configuration has a mistake.

Never a credential, nor where one comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitm_balancer.config import AccountSpec, Config, Literal, Priority, Stored
from mitm_balancer.secrets import Secret


def row(config: Config) -> dict[str, Any]:
    """What is left of a configuration that is in force, before what commands have set."""
    return {
        "source": str(config.source) if config.source else None,
        "balancing": config.balancing,
        "strategy": config.priority.strategy,
        "accounts": [
            {
                "provider": spec.provider,
                "alias": spec.alias,
                "priority": spec.priority,
                "weight": spec.weight,
                "models": list(spec.models),
                "concurrency_limit": spec.concurrency_limit,
                "enabled": spec.enabled,
                "stored": isinstance(spec.credential, Stored),
                "line": spec.line,
            }
            for spec in config.accounts
        ],
    }


def config_of(row: Mapping[str, Any]) -> Config:
    """The same again, to look at: its accounts have no credential."""
    return Config(
        balancing=row.get("balancing") is not False,
        priority=Priority(str(row.get("strategy") or "priority")),
        accounts=tuple(_spec(entry) for entry in row.get("accounts") or ()),
        source=Path(row["source"]) if row.get("source") else None,
    )


def _spec(entry: Mapping[str, Any]) -> AccountSpec:
    provider, alias = str(entry["provider"]), str(entry["alias"])
    return AccountSpec(
        provider=provider,
        alias=alias,
        credential=Stored(f"{provider}/{alias}") if entry.get("stored") else Literal(Secret("")),
        priority=int(entry["priority"]),
        weight=float(entry["weight"]),
        models=tuple(entry["models"]),
        concurrency_limit=int(entry["concurrency_limit"]),
        enabled=bool(entry["enabled"]),
        line=int(entry.get("line") or 0),
    )
