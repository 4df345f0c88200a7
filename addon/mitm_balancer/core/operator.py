"""Operator states: paused, drained, disabled, per account or for a whole provider (DESIGN section 1).

A drained target works as HAProxy's `drain`: the sessions that it has go on, nothing new begins. Requests that run are
never cut by any of the three.
"""

from __future__ import annotations

from collections.abc import Mapping

from mitm_balancer.core.changes import Changes

WORDS = ("disabled", "paused", "drained")
"""The strongest first: it decides when several are set."""

type Flags = Mapping[str, Mapping[str, str | bool | None]]


class States:
    """Name of an account or provider -> its state."""

    def __init__(self, changes: Changes | None = None) -> None:
        self.changes = changes if changes is not None else Changes()
        self._states: dict[str, str] = {}

    def take(self, flags: Flags) -> None:
        """Put exactly these flags in force: name -> flag -> value."""
        new = {name: word for name, of_name in flags.items() if (word := _strongest(of_name))}
        old, self._states = self._states, new
        for name in old.keys() | new.keys():
            if old.get(name) != new.get(name):
                self.changes.note(name)

    def of(self, name: str, provider: str) -> str:
        """The account's state, the provider's where that is stronger; empty: none."""
        if not self._states:
            return ""
        found = (self._states.get(name, ""), self._states.get(provider, ""))
        return next((word for word in WORDS if word in found), "")


def _strongest(flags: Mapping[str, str | bool | None]) -> str:
    return next((word for word in WORDS if flags.get(word)), "")
