"""What `balancer priority list` shows: the matrix, the accounts in their order, who serves now, and what is pinned."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mitm_balancer.cli.bus import opened, proxy_state
from mitm_balancer.cli.output import print_json, table
from mitm_balancer.cli.places import home_of
from mitm_balancer.cli.roster_view import roster
from mitm_balancer.config import Config, MatrixEntry
from mitm_balancer.core.durations import countdown
from mitm_balancer.operations import overrides
from mitm_balancer.operations.ordering import as_text, in_order
from mitm_balancer.running.preview import Pick, picks


def show(args: argparse.Namespace) -> int:
    """Look once; reads only."""
    home = home_of(args)
    with opened(home) as store:
        known = roster(args, home, store)
        settings = store.settings() if store is not None else {}
        counts = overrides.apply(known.config, settings)
        unusable = known.unusable | dict(proxy_state(home).get("credential_problems") or {})
        found = {pick.provider: pick for pick in picks(counts, store, unusable, args.model)}
    changed = overrides.told(known.config, settings)
    if args.json:
        print_json(_as_json(counts, found, changed))
    else:
        print("\n".join(_text(counts, found, changed, args.model)))
    return 0


def _rows(config: Config) -> list[tuple[str, MatrixEntry | None]]:
    """The matrix, then the providers that have accounts and no row, by name."""
    rows: dict[str, MatrixEntry | None] = {row.provider: row for row in config.priority.providers}
    for name in sorted({spec.provider for spec in config.accounts}):
        rows.setdefault(name, None)
    return list(rows.items())


def _as_json(config: Config, found: Mapping[str, Pick], changed: list[str]) -> dict[str, Any]:
    def model(row: MatrixEntry) -> object:
        return dict(row.model) if isinstance(row.model, tuple) else row.model

    providers = [
        {
            "provider": name,
            "in_matrix": row is not None,
            "enabled": row is None or row.enabled,
            "model": None if row is None else model(row),
            "accounts": [{"name": spec.name, "priority": spec.priority} for spec in in_order(config, name)],
            "now": asdict(found[name]) if name in found else None,
        }
        for name, row in _rows(config)
    ]
    return {
        "balancing": config.balancing,
        "strategy": config.priority.strategy,
        "across": config.priority.across,
        "providers": providers,
        "pins": [asdict(pin) for pin in config.priority.pins],
        "overrides": changed,
    }


def _text(config: Config, found: Mapping[str, Pick], changed: list[str], model: str) -> list[str]:
    head = [("strategy", config.priority.strategy), ("across", config.priority.across)]
    head += [] if config.balancing else [("balancing", "off: the active account serves, without failover")]
    head += [("set", line) for line in changed]
    lines = table(head) + (["(balancer priority reset takes back what is set here)"] if changed else [])
    rows = _rows(config)
    if not rows:
        return [*lines, "no provider has an account"]
    cells = [("", "PROVIDER", "MODEL", f"SERVES {model or 'NOW'}")]
    for place, (name, row) in enumerate(rows, 1):
        number = "-" if row is None else str(place)
        asked = "off" if row is not None and not row.enabled else "" if row is None else as_text(row.model)
        cells.append((number, name, asked, _now(found.get(name))))
        cells += [("", f"  {spec.alias}", "", _account(spec.name, found.get(name))) for spec in in_order(config, name)]
    lines += ["", *table(cells)]
    if any(row is None for _, row in rows):
        lines.append("-  in no row of the matrix: it serves its own clients only")
    pins = [
        (pin.account, f"session {pin.session}" if pin.session else f"models {pin.model}")
        for pin in config.priority.pins
    ]
    return [*lines, *(["", *table([("PINNED TO", "WHAT"), *pins])] if pins else [])]


def _now(pick: Pick | None) -> str:
    if pick is None:
        return "nobody: its clients go with their own credential"
    if not pick.account:
        return pick.because
    return f"{pick.account}{f' as {pick.model}' if pick.model else ''}: {pick.because}"


def _account(name: str, pick: Pick | None) -> str:
    """Why this one is passed over."""
    for passed, why, back in pick.passed_over if pick is not None else ():
        if passed == name:
            return f"{why}{'' if back is None else f', back in {countdown(back)}'}"
    return "serves" if pick is not None and pick.account == name else ""
