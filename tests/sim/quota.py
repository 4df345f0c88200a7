"""Quota windows as providers really keep them, with true resets; and how much of them was never used."""

from __future__ import annotations

from dataclasses import dataclass, field

from mitm_balancer.providers import limits

HOUR, DAY = 3600.0, 86400.0


@dataclass(slots=True)
class Window:
    """One limit of one account. A `rolling` one opens at its first use (the 5-hour window), others lie on a grid."""

    name: str
    stated: str
    """Its name in the headers."""
    length: float
    capacity: float
    model: str = ""
    """ "" for all models."""
    rolling: bool = False
    phase: float = 0.0
    used: float = 0.0
    reset: float = 0.0
    """True seconds. A window whose reset has passed is closed: nothing is used of the next one yet."""
    offered: float = 0.0
    wasted: float = 0.0

    def roll(self, now: float) -> None:
        """Past its reset: what was left of it is gone."""
        if now < self.reset:
            return
        if self.reset:
            # Windows of a grid that nobody looked at are lost as a whole.
            idle = 0.0 if self.rolling else (now - self.reset) // self.length
            self.offered += self.capacity * (1 + idle)
            self.wasted += max(0.0, self.capacity - self.used) + self.capacity * idle
        self.used = 0.0
        self.reset = 0.0 if self.rolling else now - (now - self.phase) % self.length + self.length

    def refuses(self, model: str, now: float) -> bool:
        self.roll(now)
        return (not self.model or self.model == model) and self.used >= self.capacity

    def spend(self, units: float, model: str, now: float) -> None:
        if self.model and self.model != model:
            return
        if not self.reset:
            self.reset = now + self.length
        self.used += units


@dataclass(slots=True)
class Quota:
    """All windows of an account."""

    windows: list[Window] = field(default_factory=list)

    def refusing(self, model: str, now: float) -> list[Window]:
        return [window for window in self.windows if window.refuses(model, now)]

    def spend(self, units: float, model: str, now: float) -> None:
        for window in self.windows:
            window.spend(units, model, now)

    def stated(self, now: float) -> tuple[limits.Window, ...]:
        """What the headers of a success say: how much is used, and the true reset."""
        return tuple(
            limits.Window(w.stated, used_percent=100 * w.used / w.capacity, wait=w.reset - now) for w in self.windows
        )


def subscription(generous: float, phase: float) -> Quota:
    """Five hours, a week, and a week for the big model; `generous` scales them (units: see `provider.COST`)."""
    return Quota(
        [
            Window("5h", "unified-5h", 5 * HOUR, 60 * generous, rolling=True),
            Window("7d", "unified-7d", 7 * DAY, 400 * generous, phase=phase),
            Window("7d_opus", "unified-7d_opus", 7 * DAY, 120 * generous, model="opus", phase=phase),
        ]
    )


def per_minute(requests: float, phase: float) -> Quota:
    """An API key's tier."""
    return Quota([Window("requests", "requests", 60.0, requests, phase=phase)])
