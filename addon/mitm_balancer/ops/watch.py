"""Changes that nobody announces: a cooldown ends by the clock, a breaker opens in the middle of a decision.

`look` is called every half second and compares with the last time. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mitm_balancer.core.durations import countdown
from mitm_balancer.core.health import Cooldown, Health
from mitm_balancer.ops.events import EventType


@dataclass(frozen=True, slots=True)
class News:
    """What `Recorder.event` takes."""

    type: EventType
    account: str
    message: str
    data: Mapping[str, object]


class HealthWatch:
    """Of all accounts. What holds at the start is no news."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._position = -1
        self._cooling: dict[tuple[str, str], Cooldown] = {}
        self._open: set[str] = set()
        self._next_end = 0.0

    def look(self, now: float) -> list[News]:
        """What has changed. Costs next to nothing when nothing has."""
        position = self._health.changes.position
        if position == self._position and now < self._next_end:
            return []
        self._position = position
        return [*self._cooldowns(now), *self._breakers(now)]

    def started(self, cooldown: Cooldown) -> None:
        """One has begun: so that its end is seen, however short it is."""
        self._cooling[cooldown.name, cooldown.model] = cooldown

    def _cooldowns(self, now: float) -> Iterator[News]:
        before = self._cooling
        self._cooling = {(c.name, c.model): c for c in self._health.cooldowns(now)}
        self._next_end = min((c.until for c in self._cooling.values()), default=float("inf"))
        for key, old in before.items():
            if key not in self._cooling:
                which = f" for {old.model}" if old.model else ""
                data = {"reason": old.reason} | ({"model": old.model} if old.model else {})
                yield News(EventType.COOLDOWN_ENDED, old.name, f"{old.name} may serve again{which}", data)

    def _breakers(self, now: float) -> Iterator[News]:
        before, resting = self._open, {name: until for name, _, until in self._health.open_breakers(now)}
        self._open = set(resting)
        for name in sorted(resting.keys() - before):
            wait = max(0.0, resting[name] - now)
            text = f"{name} failed too often: it rests for {countdown(wait)}"
            yield News(EventType.BREAKER_OPENED, name, text, {"wait_s": round(wait, 1)})
        for name in sorted(before - resting.keys()):
            yield News(EventType.BREAKER_CLOSED, name, f"{name} works again", {})
