"""Whom the strategies are compared for: people as they are, with the default policy, not the worst there can be."""

from __future__ import annotations

from dataclasses import dataclass

from sim.faults import NETWORK, SERVERS, Weather
from sim.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of user."""

    title: str
    text: str
    scenario: Scenario
    seeds: int


PROFILES: dict[str, Profile] = {
    "two": Profile(
        "Two subscriptions, one developer",
        "2 accounts, 2 or 3 agents at a time, three weeks; windows of 5 hours, of a week, and of a week for one model. "
        "One account would not do.",
        Scenario(
            days=21, scarce=4.0, accounts=(2, 2), agents=(2, 3), keys=0, think=150, rest=5, parallel=2, steps=6,
            turns=(4, 12), counts=True, weather=Weather(SERVERS, account_rate=0.3, longest=600, sporadic=0.002),
        ),
        3,
    ),
    "three": Profile(
        "Three subscriptions, a busy developer",
        "3 accounts, 4 to 6 agents at a time, three weeks; work for all of them.",
        Scenario(
            days=21, scarce=4.5, accounts=(3, 3), agents=(4, 6), keys=0, think=150, rest=5, parallel=2, steps=6,
            turns=(4, 12), counts=True, weather=Weather(SERVERS, account_rate=0.3, longest=600, sporadic=0.002),
        ),
        1,
    ),
    "keys": Profile(
        "Three API keys with limits per minute",
        "3 accounts, 8 to 12 agents, one day.",
        Scenario(
            days=1, scarce=0.9, accounts=(3, 3), agents=(8, 12), keys=1, think=40, rest=2, parallel=3, steps=6,
            turns=(6, 14), counts=True, weather=Weather(SERVERS, account_rate=1, longest=600, sporadic=0.002),
        ),
        1,
    ),
    "trouble": Profile(
        "Trouble",
        "3 accounts, 4 to 6 agents, ten days of outages, slow and broken connections, set clocks, kills and restarts.",
        Scenario(
            days=10, scarce=1.6, accounts=(3, 3), agents=(4, 6), keys=0.3, think=150, rest=5, parallel=2, steps=6,
            turns=(4, 12), counts=True, crash_per_step=0.0005, mishaps=3,
            weather=Weather(NETWORK + SERVERS, account_rate=3, provider_rate=1, longest=1800, sporadic=0.01),
        ),
        3,
    ),
    "team": Profile(
        "A team",
        "10 accounts, 150 to 200 agents, one day; work for most of them.",
        Scenario(
            days=1, scarce=6, accounts=(10, 10), agents=(150, 200), keys=0, think=300, rest=12, parallel=2, steps=4,
            turns=(2, 6), counts=True, weather=Weather(SERVERS, account_rate=0.5, longest=900, sporadic=0.002),
        ),
        1,
    ),
}  # fmt: skip
