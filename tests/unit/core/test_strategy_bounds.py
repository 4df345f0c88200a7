"""Fairness and weights within bounds, for any weights, whoever is out in between."""

from __future__ import annotations

from collections import Counter

import pytest
from dispatch_world import START, NoJitter, limited
from hypothesis import given, settings
from hypothesis import strategies as st

from mitm_balancer.core.health import Health
from mitm_balancer.core.priority import Circumstances, Priority
from mitm_balancer.core.target import TargetInfo

WEIGHTS = st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.0, 7.0]), min_size=1, max_size=6)


class Turns:
    """Requests of new sessions, one after the other."""

    def __init__(self, strategy: str, weights: list[float]) -> None:
        targets = [TargetInfo(f"a{n}", "p", weight=weight) for n, weight in enumerate(weights)]
        self.priority = Priority(targets, strategy, Circumstances())
        self.health = Health(NoJitter())
        self.now = START

    def one(self) -> str | None:
        chosen = self.priority.select("m", self.health, self.now).chosen
        if chosen is None:
            return None
        self.priority.taken(chosen.name)
        self.priority.served(chosen.name, "m", self.health, self.now)
        return chosen.name


@settings(max_examples=100, deadline=None)
@given(weights=WEIGHTS, count=st.integers(1, 300))
def test_weighted_is_never_far_from_its_shares(weights: list[float], count: int) -> None:
    """After any number of requests, not only after a round: at most one turn per account off."""
    turns = Turns("weighted", weights)
    seen = Counter(turns.one() for _ in range(count))
    for n, weight in enumerate(weights):
        assert abs(seen[f"a{n}"] - count * weight / sum(weights)) <= len(weights)


@pytest.mark.parametrize("strategy", ["round-robin", "weighted", "least-loaded"])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), size=st.integers(2, 5))
def test_nobody_who_is_ready_waits_for_long(strategy: str, data: st.DataObject, size: int) -> None:
    """Equal weights, accounts going out and coming back: each ready one has its turn within two rounds, and no account
    that comes back is stampeded."""
    turns = Turns(strategy, [1.0] * size)
    back = dict.fromkeys((f"a{n}" for n in range(size)), START)
    since = dict.fromkeys(back, 0)
    streak: tuple[str | None, int] = (None, 0)
    for _ in range(60):
        if data.draw(st.booleans(), "somebody goes out"):
            name = data.draw(st.sampled_from(sorted(back)))
            seconds = data.draw(st.sampled_from([3.0, 10.0]))
            turns.health.record(name, "m", limited(seconds), turns.now)
            back[name] = max(back[name], turns.now + seconds)
        ready = {name for name, at in back.items() if at <= turns.now}
        name = turns.one()
        assert (name in ready) if ready else (name is None)
        streak = (name, streak[1] + 1 if name == streak[0] else 1)
        assert len(ready) < 2 or streak[1] <= 4, "one account gets everything"
        for other in since:
            since[other] = 0 if other == name or other not in ready else since[other] + 1
            assert since[other] <= 2 * size, f"{other} is ready and passed over"
        turns.now += 1.0
        if len(ready) < 2:
            streak = (None, 0)
