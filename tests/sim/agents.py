"""Simulated clients: agents that work for days, think between turns, hang up, come back as they were told."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from sim.loop import Steps, Task
from sim.process import End
from sim.prompts import Conversation

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
    steps: int = 1
    """Of a turn, on average: a question, then results of tools."""
    counts: bool = False
    """Whether its prompts are counted, and each stretch of work is a conversation of its own."""


STRETCHES = 1000
"""More than anybody works: session numbers are those of the agent times this, plus that of the stretch."""

SMALL = 4000
"""Tokens that an agent's small questions have."""

TOOL = 4.0
"""Seconds that a tool takes, on average."""


def agent(world: World, number: int, habit: Habit, rng: Random) -> Steps[None]:
    """One who works: stretches of turns, then a rest."""
    stretch = 0
    while not world.over:
        session = number * STRETCHES + stretch if habit.counts else number
        stretch = (stretch + 1) % STRETCHES
        talk = Conversation() if habit.counts else None
        model = rng.choice(habit.models)
        for _ in range(rng.randint(1, 2 * habit.turns)):
            for _ in range(rng.randint(0, habit.parallel - 1)):
                small = Ask(session, "haiku", SMALL if habit.counts else 0)
                Task(world.loop, request(world, habit, small, rng), delay=rng.random())
            yield from turn(world, session, habit, model, talk, rng)
            if world.over:
                return
            yield rng.expovariate(1 / habit.think)
        yield rng.expovariate(1 / habit.rest)


def turn(world: World, session: int, habit: Habit, model: str, talk: Conversation | None, rng: Random) -> Steps[None]:
    """A question, and what the agent does until it has its answer."""
    for step in range(1 if habit.steps == 1 else rng.randint(1, 2 * habit.steps - 1)):
        if step:
            yield rng.expovariate(1 / TOOL)
        prompt = 0 if talk is None else talk.grows(rng)
        yield from request(world, habit, Ask(session, model, prompt, begins=step == 0), rng)
        if world.over:
            return


@dataclass(frozen=True, slots=True)
class Ask:
    """What an agent wants to send."""

    session: int
    model: str
    prompt: int = 0
    begins: bool = True


def request(world: World, habit: Habit, ask: Ask, rng: Random) -> Steps[None]:
    """One request, and what the client does when it fails."""
    stream = rng.random() < 0.85
    bad = rng.random() < world.request_faults
    retries = 0
    while True:
        gives_up = rng.uniform(0.2, 20) if rng.random() < habit.impatience else None
        made = world.request(habit.provider, ask.model, stream, bad, ask.session, ask.prompt, ask.begins)
        end = yield from world.ask(ask.session, made, gives_up)
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
