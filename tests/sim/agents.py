"""Simulated clients: agents that work for days, think between turns, hang up, come back as they were told."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from sim.loop import Steps, Task
from sim.process import End

if TYPE_CHECKING:
    from sim.world import World

SDK_RETRIES = 2
"""What the SDKs do by themselves after a 5xx (wire-facts X1)."""

SHORT = 60.0
"""Seconds that a client waits by itself when it is told to."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How an agent works. Seconds."""

    provider: str
    models: tuple[str, ...]
    think: float
    turns: int
    """Per stretch of work."""
    rest: float
    """Between two stretches, on average."""
    impatience: float
    """Share of requests whose client hangs up in the middle."""
    parallel: int
    """Most requests of a turn that are under way together."""


def agent(world: World, session: int, habit: Habit, rng: Random) -> Steps[None]:
    """One session: stretches of turns, then a rest."""
    while not world.over:
        model = rng.choice(habit.models)
        for _ in range(rng.randint(1, 2 * habit.turns)):
            for _ in range(rng.randint(0, habit.parallel - 1)):
                Task(world.loop, turn(world, session, habit, "haiku", rng), delay=rng.random())
            yield from turn(world, session, habit, model, rng)
            if world.over:
                return
            yield rng.expovariate(1 / habit.think)
        yield rng.expovariate(1 / habit.rest)


def turn(world: World, session: int, habit: Habit, model: str, rng: Random) -> Steps[None]:
    """One request, and what the client does when it fails."""
    stream = rng.random() < 0.85
    bad = rng.random() < world.request_faults
    retries = 0
    while True:
        gives_up = rng.uniform(0.2, 20) if rng.random() < habit.impatience else None
        request = world.request(habit.provider, model, stream, bad, session)
        end = yield from world.ask(session, request, gives_up)
        again = _again(end, retries, rng)
        if again is None or world.over:
            return
        retries += 1
        yield again


def _again(end: End, retries: int, rng: Random) -> float | None:
    """Seconds until the same request is sent again; None: it is not."""
    if end.how == "exhausted":
        # A person reads when it goes on, and comes back then.
        return end.wait + (0.0 if end.wait <= SHORT else rng.uniform(0, 600))
    if end.how in ("failed", "empty", "overloaded", "cut", "crashed", "down") and retries < SDK_RETRIES:
        return rng.uniform(0.4, 0.5) * 2.0**retries if end.how != "down" else rng.uniform(1, 5)
    return None
