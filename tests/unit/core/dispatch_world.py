"""A pool of accounts under a clock of the test's own, and a driver that does what the dispatcher says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mitm_balancer.core.budget import RetryBudget
from mitm_balancer.core.dispatch import Attempt, Dispatch, DispatchPolicy, Pause, Step, Stop
from mitm_balancer.core.health import Cooldown, Health
from mitm_balancer.core.priority import Priority, TargetInfo
from mitm_balancer.core.scope import ScopeLearner
from mitm_balancer.core.verdict import SUCCESS, Outcome, Scope, Sent, Verdict

START = 1000.0
"""Not zero: nothing may depend on where the monotonic clock began."""


class NoJitter:
    """The least that `Rng` may say: no jitter on cooldowns. (Backoffs have their own switch, `policy.jitter`.)"""

    def uniform(self, a: float, b: float, /) -> float:
        return a

    def random(self) -> float:
        return 0.0


OK = SUCCESS
TRANSIENT = Outcome(Verdict.TRANSIENT_SERVER_FAILURE, "500", Scope.ACCOUNT, redispatch=True, status=500)
CAPACITY = Outcome(Verdict.TRANSIENT_SERVER_FAILURE, "529", Scope.PROVIDER, redispatch=True, capacity=True, status=529)
AMBIGUOUS = Outcome(Verdict.TRANSPORT_FAILURE, "head", Scope.ACCOUNT, redispatch=True, sent=Sent.ALL)
PARTIAL = replace(AMBIGUOUS, reason="write", sent=Sent.PARTIAL)
REFUSED = replace(AMBIGUOUS, reason="connect", sent=Sent.NOTHING)
FAULT = Outcome(Verdict.REQUEST_FAULT, "invalid_request_error", status=400)
POLICY = Outcome(Verdict.POLICY_FAILURE, "content_policy", status=400)
AUTH = Outcome(Verdict.AUTH_FAILURE, "401", Scope.ACCOUNT, redispatch=True, status=401)
NO_MODEL = Outcome(Verdict.MODEL_UNAVAILABLE, "not_found", Scope.MODEL, redispatch=True, status=404)


def limited(wait: float | None = None, scope: Scope = Scope.ACCOUNT) -> Outcome:
    """A 429 with a limit."""
    return Outcome(Verdict.RATE_LIMITED, "rate_limit_error", scope, wait, redispatch=True, status=429)


def quota(wait: float | None = None) -> Outcome:
    """A quota used up."""
    return Outcome(Verdict.QUOTA_EXHAUSTED, "quota", Scope.ACCOUNT, wait, redispatch=True, status=429)


@dataclass
class World:
    """What several requests share. `names` are in the operator's order."""

    names: Sequence[str] = ("a", "b", "c")
    policy: DispatchPolicy = field(default_factory=lambda: DispatchPolicy(jitter=False))
    health: Health = field(default_factory=lambda: Health(NoJitter()))
    budget: RetryBudget = field(default_factory=RetryBudget)
    scope: ScopeLearner = field(default_factory=ScopeLearner)
    now: float = START
    cooldowns: list[Cooldown] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.priority = Priority([TargetInfo(name, "p") for name in self.names])

    def dispatch(self, model: str = "m", **policy: object) -> Dispatch:
        """A new request."""
        return Dispatch(
            provider="p",
            model=model,
            priority=self.priority,
            health=self.health,
            budget=self.budget,
            scope=self.scope,
            policy=replace(self.policy, **policy),  # type: ignore[arg-type]
            started=self.now,
            rng=random.Random(1),
            on_cooldown=self.cooldowns.append,
        )

    def run(self, outcomes: dict[str, list[Outcome]], model: str = "m", **policy: object) -> Story:
        """One request to its end; each account answers with its outcomes in turn, the last one for ever."""
        return self.drive(self.dispatch(model, **policy), outcomes)

    def drive_from(self, dispatch: Dispatch, outcome: Outcome) -> Story:
        """The attempt that is under way ends with `outcome`; what comes then, every account answering the same."""
        dispatch.ended(outcome, self.now)
        return self.drive(dispatch, {name: [outcome] for name in self.names})

    def drive(self, dispatch: Dispatch, outcomes: dict[str, list[Outcome]]) -> Story:
        answers = {name: list(given) for name, given in outcomes.items()}
        story = Story()
        for _ in range(200):
            step = dispatch.next(self.now)
            story.steps.append(step)
            if isinstance(step, Stop):
                return story
            if isinstance(step, Pause):
                self.now += step.seconds
                continue
            given = answers[step.target.name]
            dispatch.ended(given.pop(0) if len(given) > 1 else given[0], self.now)
        raise AssertionError("the dispatcher does not end")


@dataclass
class Story:
    """What the dispatcher said, in order."""

    steps: list[Step] = field(default_factory=list)

    @property
    def tried(self) -> str:
        """The accounts, in order (their names have one letter)."""
        return "".join(s.target.name for s in self.steps if isinstance(s, Attempt))

    @property
    def pauses(self) -> list[float]:
        return [s.seconds for s in self.steps if isinstance(s, Pause)]

    @property
    def stop(self) -> Stop:
        last = self.steps[-1]
        assert isinstance(last, Stop)
        return last
