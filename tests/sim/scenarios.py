"""What is simulated: a scenario draws providers, weather, agents and mishaps from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from mitm_balancer.core.dispatch import DispatchPolicy
from sim.agents import Habit
from sim.faults import CREDENTIALS, NETWORK, SERVERS, Weather
from sim.quota import DAY, HOUR, Quota, per_minute, subscription

CLEAR = Weather()

ALL_KINDS = (("opus",), ("sonnet",), ("opus", "sonnet", "haiku"))
MOSTLY_SMALL = (("sonnet",), ("sonnet", "haiku"), ("opus", "sonnet", "sonnet", "sonnet"))
"""Of these an agent takes one per stretch of work."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of trouble. Rates are per day."""

    days: float = 2.0
    weather: Weather = CLEAR
    scarce: float = 3.0
    """Factor on every quota."""
    accounts: tuple[int, int] = (2, 5)
    crash_per_step: float = 0.0
    mishaps: float = 0.0
    """Set clocks, reboots, writes by other processes, accounts switched off and on."""
    think: float = 90.0
    """Seconds between turns."""
    rest: float = 2.0
    """Hours between stretches of work."""
    agents: tuple[int, int] = (2, 4)
    parallel: int = 1
    steps: int = 1
    turns: tuple[int, int] = (5, 40)
    counts: bool = False
    """Prompts are counted, conversations end with a stretch of work."""
    impatience: float = 0.03
    """Share of requests whose client hangs up after some seconds."""
    keys: float = 0.3
    """Share of agents on API keys with limits per minute; the others work on subscriptions."""


SCENARIOS: dict[str, Scenario] = {
    "calm": Scenario(scarce=30, weather=Weather(request_faults=0.05)),
    "quota": Scenario(days=15.0, scarce=0.8, keys=0.1, think=240, rest=6),
    "minute": Scenario(scarce=0.25, think=4, rest=1, parallel=4, keys=0.9),
    "outage": Scenario(
        days=3, scarce=5, parallel=3, impatience=0.15,
        weather=Weather(SERVERS, account_rate=4, provider_rate=6, longest=3600, sporadic=0.01),
    ),
    "network": Scenario(
        days=3, scarce=5, parallel=2,
        weather=Weather(NETWORK, account_rate=6, provider_rate=4, longest=900, sporadic=0.03),
    ),
    "credentials": Scenario(days=3, scarce=3, weather=Weather(CREDENTIALS, account_rate=3, longest=3 * HOUR)),
    "crashes": Scenario(
        days=4, scarce=0.6, crash_per_step=0.02, mishaps=20,
        weather=Weather(SERVERS, account_rate=4, sporadic=0.01),
    ),
    "crowd": Scenario(
        days=0.3, scarce=6, accounts=(2, 4), agents=(20, 60), think=30, rest=1, parallel=3,
        weather=Weather(SERVERS, account_rate=6, sporadic=0.005),
    ),
    "everything": Scenario(
        days=4, scarce=1.0, crash_per_step=0.004, mishaps=8, parallel=3,
        weather=Weather(NETWORK + SERVERS + CREDENTIALS, account_rate=5, provider_rate=3, longest=1800, sporadic=0.02),
    ),
}  # fmt: skip


def draw_policy(rng: Random) -> DispatchPolicy:
    """Mostly the defaults, now and then another setting."""
    return DispatchPolicy(
        max_attempts=rng.choice((10, 10, 10, 3, 1)),
        failover_budget=rng.choice((9, 9, 2)),
        deadline=rng.choice((900.0, 900.0, 60.0)),
        hold=rng.choice((20.0, 20.0, 0.0, 120.0)),
        retry_ambiguous=rng.random() < 0.8,
        jitter=rng.random() < 0.8,
    )


def draw_accounts(scenario: Scenario, provider: str, rng: Random) -> dict[str, Quota]:
    """The accounts of one provider in the operator's order."""
    make, share = (subscription, 1.0) if provider == "anthropic" else (per_minute, 20.0)
    count = rng.randint(*scenario.accounts)
    accounts = {}
    for letter in "abcdefghijklmnop"[:count]:
        generous = share * scenario.scarce * rng.uniform(0.5, 1.5)
        accounts[f"{provider}/{letter}"] = make(generous, rng.uniform(-7 * DAY, 0.0))
    return accounts


def draw_habits(scenario: Scenario, rng: Random) -> list[Habit]:
    """Who works."""
    habits = []
    for _ in range(rng.randint(*scenario.agents)):
        provider = "openai" if rng.random() < scenario.keys else "anthropic"
        models = rng.choice(MOSTLY_SMALL if scenario.counts else ALL_KINDS)
        think, rest = scenario.think * rng.uniform(0.3, 2), scenario.rest * rng.uniform(0.3, 2) * HOUR
        turns = rng.randint(*scenario.turns)
        habits.append(
            Habit(
                provider, models, think, turns, rest, scenario.impatience, scenario.parallel, scenario.steps,
                scenario.counts,
            )
        )  # fmt: skip
    return habits
