"""What goes wrong and for how long: episodes, drawn once per run from its seed."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


class Fault(enum.Enum):
    """One kind of trouble."""

    ERROR = "500"
    CAPACITY = "529"
    CONNECT = "connection refused"
    CONNECT_TIMEOUT = "connect time-out"
    PARTIAL = "reset in the body"
    RESET = "reset after the body"
    SILENT = "no head"
    EARLY_CUT = "cut before the first event"
    CUT = "cut stream"
    ERROR_EVENT = "error event first"
    SLOW = "slow"
    AUTH = "401"
    FORBIDDEN = "403"
    NO_MONEY = "quota code without a reset"
    NO_MODEL = "model unknown to the account"


NETWORK = (Fault.CONNECT, Fault.CONNECT_TIMEOUT, Fault.PARTIAL, Fault.RESET, Fault.EARLY_CUT, Fault.CUT, Fault.SLOW)
SERVERS = (Fault.ERROR, Fault.CAPACITY, Fault.SILENT, Fault.ERROR_EVENT)
CREDENTIALS = (Fault.AUTH, Fault.FORBIDDEN, Fault.NO_MONEY, Fault.NO_MODEL)


@dataclass(frozen=True, slots=True)
class Episode:
    """From `start` to `end` (true seconds), at this share of the requests."""

    fault: Fault
    start: float
    end: float
    account: str
    """ "" for every account of the provider."""
    share: float = 1.0
    model: str = ""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad it gets. Rates are episodes per day."""

    kinds: tuple[Fault, ...] = ()
    account_rate: float = 0.0
    provider_rate: float = 0.0
    longest: float = 1800.0
    sporadic: float = 0.0
    """Share of all requests that meet one of `kinds` out of the blue."""
    request_faults: float = 0.02


def forecast(
    weather: Weather, accounts: Sequence[str], models: Sequence[str], until: float, rng: Random
) -> list[Episode]:
    """The episodes of one provider."""
    episodes: list[Episode] = []
    rates = [("", weather.provider_rate), *((name, weather.account_rate) for name in accounts)]
    for name, rate in rates:
        # Credentials are an account's, the rest may be anybody's.
        kinds = [k for k in weather.kinds if name or k not in CREDENTIALS]
        now = rng.expovariate(rate / 86400) if rate and kinds else until
        while now < until:
            fault = rng.choice(kinds)
            end = min(until, now + 5 + rng.random() ** 3 * weather.longest * (8 if fault in CREDENTIALS else 1))
            episodes.append(Episode(fault, now, end, name, rng.choice((1.0, 1.0, 0.6, 0.3)), rng.choice(models)))
            now = end + rng.expovariate(rate / 86400)
    return episodes
