"""From measurements to ratios, a table and a file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from bench.cases import REDISPATCH_LIMIT_MS, Bar, Case
from bench.job import Result
from bench.runner import Round, Run
from bench.variants import NAMES

RESULTS = Path(__file__).parent / "results"
PAIRS = (("c", "b"), ("d", "b"), ("c", "a"), ("d", "a"))


def number(value: float) -> str:
    """Three digits that mean something, right-aligned."""
    return f"{value:9.0f}" if abs(value) >= 100 else f"{value:#9.3g}"


@dataclass(frozen=True, slots=True)
class Spread:
    """A value per round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return number(self.median)
        return f"{number(self.median)}  ({number(min(self.values)).strip()} - {number(max(self.values)).strip()})"


@dataclass(frozen=True, slots=True)
class Line:
    """One judged or informative number of a case."""

    label: str
    spread: Spread
    bar: str = ""
    passed: bool | None = None
    """None: there is no bar."""

    def __str__(self) -> str:
        mark = {None: "", True: "PASS", False: "MISS"}[self.passed]
        return f"  {self.label:<28}{self.spread!s:<30}{self.bar:<14}{mark}".rstrip()


def ratios(run: Run) -> list[Line]:
    """The ratio of each pair within each round, beside its bar."""
    case = run.case
    bars = {(bar.variant, bar.base): bar for bar in case.bars}
    return [
        _ratio(run, variant, base, bars.get((variant, base)))
        for variant, base in PAIRS
        if run.rounds and {variant, base} <= set(run.rounds[0].results)
    ]


def _ratio(run: Run, variant: str, base: str, bar: Bar | None) -> Line:
    metric = run.case.metric
    spread = Spread(tuple(metric(r.results[variant]) / metric(r.results[base]) for r in run.rounds))
    passed = bar.holds(spread.median) if bar else None
    return Line(f"{variant}/{base} {run.case.unit}", spread, str(bar).split(" ", 1)[1] if bar else "", passed)


def redispatch(run: Run) -> list[Line]:
    """What a second attempt adds beyond the origin's own refusal, in milliseconds."""
    lines = []
    for letter in "cd":
        costs = [cost for r in run.rounds if (cost := redispatch_cost(r, letter)) is not None]
        if costs:
            spread = Spread(tuple(costs))
            passed = spread.median <= REDISPATCH_LIMIT_MS
            lines.append(Line(f"{letter} redispatch, ms", spread, f"<= {REDISPATCH_LIMIT_MS}", passed))
            count = sum(r.results[letter].attempts.count(2) for r in run.rounds)
            lines.append(Line(f"{letter} redispatches counted", Spread((float(count),))))
    return lines


def redispatch_cost(measured: Round, letter: str) -> float | None:
    """Median latency with two attempts, less that with one, less a direct refusal's round trip; None: no sample."""
    result = measured.results.get(letter)
    if result is None or measured.refusal is None:
        return None
    pairs = list(zip(result.latency_ms, result.attempts, strict=True))
    twice = [ms for ms, attempts in pairs if attempts == 2]
    once = [ms for ms, attempts in pairs if attempts == 1]
    if not twice or not once:
        return None
    return statistics.median(twice) - statistics.median(once) - statistics.median(measured.refusal.latency_ms)


def context(run: Run) -> list[Line]:
    """Absolute numbers of this machine: for orientation, never judged."""
    case = run.case
    lines = [*_each(run, case.unit, case.metric), *_each(run, "p99 ms/request", lambda r: percentile(r.latency_ms, 99))]
    if case.load.gap_ms:
        lines += _each(run, "p99 ms delay/event", lambda r: percentile(r.delays_ms, 99))
    per_thousand = case.load.events * case.load.requests if case.load.events else case.load.requests
    what = "events" if case.load.events else "requests"
    cpu = _each(run, f"CPU s/1000 {what}", lambda r: 1000 * r.cpu_seconds / per_thousand)
    lines += [line for line in cpu if not line.label.startswith("a ")]
    lines += [Line(f"{letter} peak MiB", Spread((mib,))) for letter, mib in run.peak_rss_mib.items()]
    return lines


def _each(run: Run, label: str, value: Callable[[Result], float]) -> list[Line]:
    letters = run.rounds[0].results if run.rounds else {}
    return [Line(f"{v} {label}", Spread(tuple(value(r.results[v]) for r in run.rounds))) for v in letters]


def percentile(values: list[float], rank: int) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * rank // 100)]


def show(run: Run) -> list[Line]:
    """Print the case and write its file; returns the lines that are judged."""
    judged = redispatch(run) if run.case.load.refuse else ratios(run)
    informative = context(run)
    print(f"\n{run.case.name}: {run.case.title}  [{len(run.rounds)} rounds]")
    for line in judged:
        print(line)
    print("  context (this machine, not judged):")
    for line in informative:
        print(line)
    _write(run.case, judged, informative)
    return judged


def _write(case: Case, judged: list[Line], informative: list[Line]) -> None:
    RESULTS.mkdir(exist_ok=True)
    report = {
        "case": case.name,
        "title": case.title,
        "load": asdict(case.load),
        "variants": NAMES,
        "judged": [asdict(line) for line in judged],
        "context": [asdict(line) for line in informative],
        "machine": {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "cpus": os.cpu_count(),
            "load_average": os.getloadavg(),
            "python": platform.python_version(),
            "mitmproxy": metadata.version("mitmproxy"),
        },
    }
    (RESULTS / f"{case.name}.json").write_text(json.dumps(report, indent=1) + "\n")
