"""The retry budget of one provider as it looks from outside (P2)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mitm_balancer.core.budget import RetryBudget

WINDOW = 60.0
"""Seconds: P2 is also asserted over every stretch of this length."""

FADED = 10
"""Decay times after which nothing is left of a deposit (1e-4 of it)."""


@dataclass(slots=True)
class Pace:
    """The retry budget of one provider, from outside."""

    began: float
    arrived: int = 0
    paid: int = 0
    arrivals: deque[float] = field(default_factory=deque)
    payments: deque[float] = field(default_factory=deque)


def within_budget(pace: Pace, now: float, budget: RetryBudget) -> bool:
    """P2 in numbers: a share of the requests and the reserve, over the whole run and over every minute."""
    whole = pace.arrived * budget.ratio + budget.reserve * (1 + (now - pace.began) / budget.ttl)
    while pace.payments and pace.payments[0] < now - WINDOW:
        pace.payments.popleft()
    while pace.arrivals and pace.arrivals[0] < now - WINDOW - FADED * budget.ttl:
        pace.arrivals.popleft()
    minute = len(pace.arrivals) * budget.ratio + budget.reserve * (1 + WINDOW / budget.ttl)
    return pace.paid <= whole + 1e-6 and len(pace.payments) <= minute + 1
