"""A pool with limits and sessions, and requests that are left running."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dispatch_world import START, NoJitter, Story

from mitm_balancer.core.admission import Admission, AdmissionPolicy, Seat
from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.dispatch import Attempt, Dispatch, DispatchPolicy, Pause, Queue, Step, Stop
from mitm_balancer.core.health import Health
from mitm_balancer.core.priority import Circumstances, Priority
from mitm_balancer.core.scope import ScopeLearner
from mitm_balancer.core.session import Bindings, SessionKeys, Tie
from mitm_balancer.core.strategies import Known
from mitm_balancer.core.target import TargetInfo
from mitm_balancer.core.verdict import Outcome


@dataclass
class Request:
    """One that was started and not driven on."""

    dispatch: Dispatch
    step: Step
    woken: list[int]

    @property
    def name(self) -> str:
        """Who has it."""
        return self.step.target.name if isinstance(self.step, Attempt) else ""


@dataclass
class SeatedWorld:
    """What the requests of one provider share. Names have one letter."""

    names: str = "abc"
    strategy: str = "priority"
    limit: int = 64
    each: int = 8
    queue: int = 100
    policy: DispatchPolicy = field(default_factory=lambda: DispatchPolicy(jitter=False))
    now: float = START

    def __post_init__(self) -> None:
        self.health = Health(NoJitter())
        self.admission = Admission(AdmissionPolicy(self.limit, self.queue), dict.fromkeys(self.names, self.each))
        around = Circumstances(Known(load=self.admission))
        self.priority = Priority([TargetInfo(name, "p") for name in self.names], self.strategy, around)
        self.bindings = Bindings()
        self.kept: list[tuple[str, str]] = []
        self.budget = RetryBudget()
        self.scope = ScopeLearner()

    def dispatch(self, session: str = "", wake: Callable[[], None] = lambda: None, model: str = "m") -> Dispatch:
        """A new request; an empty session is none."""
        made = Dispatch(
            "p", model, self.priority, self.health, self.budget, self.scope, self.policy, self.now, random.Random(1)
        )
        made.seat = Seat(self.admission, session=session, wake=wake)
        if session:
            made.tie = Tie(self.bindings, SessionKeys(session), lambda key, name: self.kept.append((key, name)))
        return made

    def start(self, session: str = "", model: str = "m") -> Request:
        """A request and its first step."""
        woken: list[int] = []
        dispatch = self.dispatch(session, lambda: woken.append(1), model)
        return Request(dispatch, dispatch.next(self.now), woken)

    def run(self, session: str, outcomes: dict[str, list[Outcome]]) -> Story:
        """One request to its end; each account answers with its outcomes in turn, the last one for ever."""
        return self.drive(self.dispatch(session), outcomes)

    def leave_at(self, percent: float) -> None:
        """From then on an account keeps its sessions and gets no new ones."""
        around = self.priority.around
        around.known = replace(around.known, leave_at=percent)
        self.priority = Priority(self.priority.targets, self.strategy, around)

    def drive(self, dispatch: Dispatch, outcomes: dict[str, list[Outcome]]) -> Story:
        story = Story()
        answers = {name: list(given) for name, given in outcomes.items()}
        try:
            while True:
                step = dispatch.next(self.now)
                story.steps.append(step)
                if isinstance(step, Stop):
                    return story
                if isinstance(step, Pause | Queue):
                    self.now += step.seconds
                    continue
                given = answers[step.target.name]
                dispatch.ended(given.pop(0) if len(given) > 1 else given[0], self.now)
        finally:
            dispatch.close()
