"""Virtual time: tasks are generators that yield the seconds they want to sleep. Same seed, same order of everything."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

type Steps[T] = Generator[float, None, T]
"""What a task runs: it yields seconds of sleep, and returns a T."""


@dataclass(slots=True, order=True)
class Timer:
    """One thing that will happen."""

    at: float
    order: int
    action: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        self.action = None


class Loop:
    """`now` is the true time: seconds since the simulation began."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[Timer] = []
        self._made = 0
        self.task: Task | None = None
        """The one that runs."""

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call `action` then."""
        self._made += 1
        timer = Timer(self.now + max(0.0, seconds), self._made, action)
        heapq.heappush(self._timers, timer)
        return timer

    def run(self, until: float) -> None:
        """Let time pass until then."""
        timers = self._timers
        while timers and timers[0].at <= until:
            timer = heapq.heappop(timers)
            if timer.action is not None:
                self.now = timer.at
                timer.action()
        self.now = until


class Task:
    """A generator on the loop."""

    def __init__(self, loop: Loop, steps: Steps[object], *, delay: float = 0.0) -> None:
        self._loop, self._steps = loop, steps
        self.done = False
        self._timer = loop.after(delay, self._resume)

    def throw(self, reason: Exception) -> None:
        """Raise this where the task sleeps."""
        if self.done:
            return
        self._timer.cancel()
        self._advance(lambda: self._steps.throw(reason))

    def hurry(self) -> None:
        """Sleep no longer."""
        if not self.done:
            self._timer.cancel()
            self._timer = self._loop.after(0.0, self._resume)

    def _resume(self) -> None:
        self._advance(lambda: next(self._steps))

    def _advance(self, go: Callable[[], float]) -> None:
        before, self._loop.task = self._loop.task, self
        try:
            seconds = go()
        except StopIteration:
            self.done = True
            return
        finally:
            self._loop.task = before
        self._timer = self._loop.after(seconds, self._resume)


class Bell:
    """Somebody may be woken before his time."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._rung = False
        self._sleeper: Task | None = None

    def ring(self) -> None:
        self._rung = True
        if self._sleeper is not None:
            self._sleeper.hurry()

    def wait(self, seconds: float) -> Steps[None]:
        """Until it rings, at most so long."""
        if not self._rung:
            self._sleeper = self._loop.task
            try:
                yield seconds
            finally:
                self._sleeper = None
        self._rung = False
