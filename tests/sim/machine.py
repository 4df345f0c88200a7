"""The machine under the process: its two clocks, and a disk that is a little slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mitm_balancer.store.rows import CooldownRow
from sim.loop import Loop, Timer

EPOCH = 1_790_000_000.0
"""The true unix time at which every simulation begins."""

WRITE_DELAY = 0.02
"""Seconds until a row is on disk: the store's writer is a thread of its own."""


class Machine:
    """The monotonic clock begins anew at a boot; the wall clock may be set by anybody."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.offset = 0.0
        """Wall clock minus true time."""
        self._booted = -1000.0

    def monotonic(self) -> float:
        return self.loop.now - self._booted

    def wall(self) -> float:
        return EPOCH + self.loop.now + self.offset

    def true_wall(self) -> float:
        """What a provider's `Date` says."""
        return EPOCH + self.loop.now

    def reboot(self) -> None:
        """The monotonic clock starts near zero."""
        self._booted = self.loop.now - 7.0


@dataclass(slots=True)
class Disk:
    """Rows by (name, model): what a killed process leaves behind."""

    loop: Loop
    written: Callable[[CooldownRow], None] = lambda _: None
    rows: dict[tuple[str, str], CooldownRow] = field(default_factory=dict)
    in_use: dict[str, dict[str, str]] = field(default_factory=dict)
    """Provider -> its accounts in use."""
    bindings: dict[str, tuple[str, float]] = field(default_factory=dict)
    _waiting: list[Timer] = field(default_factory=list)

    def save(self, row: CooldownRow) -> None:
        self._waiting = [timer for timer in self._waiting if timer.action is not None and timer.at > self.loop.now]
        self._waiting.append(self.loop.after(WRITE_DELAY, lambda: self._write(row)))

    def clear(self, name: str) -> None:
        self.rows = {key: row for key, row in self.rows.items() if key[0] != name}

    def lose_unwritten(self) -> None:
        """The process died."""
        for timer in self._waiting:
            timer.cancel()
        self._waiting.clear()

    def _write(self, row: CooldownRow) -> None:
        self.rows[row.name, row.model] = row
        self.written(row)
