"""Which account each pool is on, over a restart: `drain` goes on from there, and the others stay.

It is written when it has changed, never waited for: what a kill -9 costs is one needless move.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mitm_balancer.proxy.runtime import ProviderPool
from mitm_balancer.store import Store

KEY = "in_use"
"""Of the row of `state`. `marks` tell whether the operator has put others ahead of an account since."""


class InUse:
    """One App's. `pools`: provider -> model ("" for all) -> account; `chosen`: the user's choices that were obeyed."""

    def __init__(self, store: Store | None) -> None:
        """Reads the store: blocks."""
        self._store = store
        found = (store.get_state(KEY) if store is not None else None) or {}
        self._before = {name: _words(of_provider) for name, of_provider in _mapping(found.get("pools")).items()}
        self._marks = {name: _words(of_provider) for name, of_provider in _mapping(found.get("marks")).items()}
        self.chosen = _words(found.get("chosen"))
        self._written: dict[str, object] = dict(found)

    def restore(self, pool: ProviderPool) -> None:
        """A pool that is new goes on where the last process stopped; once, for a later one follows what happens."""
        name = pool.provider.name
        pool.priority.restore(self._before.pop(name, {}), self._marks.get(name, {}))

    def save_if_changed(self, pools: Mapping[str, ProviderPool], chosen: Mapping[str, str]) -> None:
        """Hand it to the store's writer. What is known of providers that have no accounts now is kept."""
        now = {name: pool.priority.in_use for name, pool in pools.items()}
        marks = {
            name: {account: pools[name].priority.mark(account) for account in set(of_name.values())}
            for name, of_name in now.items()
        }
        told: dict[str, object] = {
            "pools": self._before | now, "marks": self._marks | marks, "chosen": dict(chosen),
        }  # fmt: skip
        if self._store is not None and told != self._written:
            self._written = told
            self._store.put_state(KEY, told)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(value: object) -> dict[str, str]:
    return {str(key): text for key, text in _mapping(value).items() if isinstance(text, str)}
