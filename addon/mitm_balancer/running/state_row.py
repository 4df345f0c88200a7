"""The proxy's own row in the store: by it the CLI finds a running proxy, and knows what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from mitm_balancer.store import Store
from mitm_balancer.store.state_keys import PROXY

HEARTBEAT = 5.0
"""Seconds between two writes of a row in which nothing has changed."""


class StateRow:
    """`state` gives all of it but the time of the beat."""

    def __init__(self, store: Store | None, state: Callable[[], Mapping[str, Any]]) -> None:
        self._store, self._state = store, state
        self._told: Mapping[str, Any] = {}
        self._next_beat = 0.0

    def tell(self) -> None:
        """Write it, when it has changed or was not written for long."""
        state = self._state()
        if self._store is not None and (state != self._told or time.monotonic() >= self._next_beat):
            self._told, self._next_beat = state, time.monotonic() + HEARTBEAT
            self._store.put_state(PROXY, {**state, "beat": time.time()}, soon=True)

    def tell_again(self) -> None:
        """If another proxy of this home has ended and left the row empty: this one is still here. Blocks."""
        if self._store is not None and not self._store.get_state(PROXY):
            self._told = {}

    def clear(self) -> None:
        """The proxy is gone. A row of another proxy of this home stays."""
        if self._store is not None and (self._store.get_state(PROXY) or {}).get("pid") in (None, self._state()["pid"]):
            self._store.put_state(PROXY, {})
