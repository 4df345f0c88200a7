"""The cases and their bars, as data. The bars are the project's own targets; a case without one is context."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from bench.job import Load, Result

type Metric = Callable[[Result], float]

ONE_WAY_MS = 20.0
"""Of the delaying relay: 40 ms there and back."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The ratio of two variants' values must be at least (`low`) or at most (`high`) this."""

    variant: str
    base: str
    low: float | None = None
    high: float | None = None

    def holds(self, ratio: float) -> bool:
        return (self.low is None or ratio >= self.low) and (self.high is None or ratio <= self.high)

    def __str__(self) -> str:
        side = f">= {self.low}" if self.low is not None else f"<= {self.high}"
        return f"{self.variant}/{self.base} {side}"


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison."""

    name: str
    title: str
    load: Load
    unit: str
    metric: Metric
    bars: tuple[Bar, ...] = ()
    variants: str = "abcd"
    one_way_ms: float = 0.0
    accounts: int = 3


def per_second(result: Result) -> float:
    """Requests per second."""
    return len(result.latency_ms) / result.seconds


def median_ms(result: Result) -> float:
    return statistics.median(result.latency_ms)


def events_per_second(result: Result) -> float:
    return result.events / result.seconds


def delay_ms(result: Result) -> float:
    return statistics.median(result.delays_ms)


REDISPATCH_LIMIT_MS = 2.0
"""The most that a redispatch may cost beyond the upstream's own round trips."""

CASES = (
    Case(
        "kept",
        "small requests on 16 kept connections",
        Load(requests=1200, concurrency=16),
        "requests/s",
        per_second,
        (Bar("c", "b", low=0.9), Bar("d", "b", low=1.4)),
    ),
    Case(
        "new-40ms",
        "a new client connection per request, 40 ms to the provider",
        Load(requests=60, concurrency=2, keep=False),
        "ms/request",
        median_ms,
        (Bar("c", "a", high=0.6), Bar("d", "a", high=0.6)),
        one_way_ms=ONE_WAY_MS,
    ),
    Case(
        "flood",
        "one stream of 20,000 events, each its own HTTP chunk and TLS record",
        Load(requests=3, events=20_000),
        "events/s",
        events_per_second,
        (Bar("c", "b", low=4.0),),
    ),
    Case(
        "paced",
        "100 streams of 10 events a second each",
        Load(requests=100, concurrency=100, warmup=1, events=30, gap_ms=100.0),
        "ms delay/event",
        delay_ms,
    ),
    Case(
        "body-1mb",
        "1 MB up and 1 MB down on 4 kept connections",
        Load(requests=60, concurrency=4, body=1_000_000, answer=1_000_000),
        "requests/s",
        per_second,
    ),
    Case(
        "redispatch",
        "every other request refused (429) at its first attempt",
        Load(requests=40, refuse="half"),
        "ms/request",
        median_ms,
        variants="acd",
        # More accounts than refusals in a turn: even if a refused one rests for a second, one is left.
        accounts=24,
    ),
)
BY_NAME = {case.name: case for case in CASES}
