"""Where the time of one variant goes: cProfile inside the proxy, summed by package and by function.

The profiler slows short Python functions most; take its shares as a map, and prove a change with the bench itself.
"""

from __future__ import annotations

import pstats
import re
from collections import defaultdict
from pathlib import Path

from bench import report, runner
from bench.cases import Case

LINES = 40

type Stats = dict[tuple[str, int, str], tuple[int, int, float, float, object]]

AREAS = (
    ("balancer, ", re.compile(r"/(mitm_balancer/[^/]+?)(?:\.py|/)")),
    ("mitmproxy, ", re.compile(r"/(mitmproxy/(?:addonmanager|proxy|net|addons|http|[^/]+?))(?:\.py|/)")),
    ("", re.compile(r"/(asyncio|sqlite_utils|httptools|OpenSSL|h11|h2|json|contextlib|dataclasses)(?:\.py|/)")),
)


def profile(case: Case, letter: str) -> None:
    """Run, print, and keep the statistics in bench/results."""
    report.RESULTS.mkdir(exist_ok=True)
    output = report.RESULTS / f"{case.name}-{letter}.pstats"
    result = runner.profile_case(case, letter, output)
    requests = len(result.latency_ms)
    print(f"{case.name}, variant {letter}: {case.metric(result):.1f} {case.unit} under the profiler; {output.name}\n")
    stats = pstats.Stats(str(output))
    raw: Stats = stats.stats  # type: ignore[attr-defined]
    show_areas(raw, requests)
    show_own(raw, requests)
    stats.strip_dirs().sort_stats("tottime").print_stats(LINES)


def show_areas(raw: Stats, requests: int) -> None:
    """Own time per package; what waits in a poll or for a lock is left out."""
    areas: dict[str, float] = defaultdict(float)
    for (file, _, name), (_, _, own, _, _) in raw.items():
        if not is_wait(name):
            areas[area(file, name)] += own
    total = sum(areas.values())
    print("own time by package: share, microseconds per request")
    for label, spent in sorted(areas.items(), key=lambda row: -row[1])[:18]:
        print(f"  {label:<40}{spent / total:6.1%}{1e6 * spent / requests:10.0f}")
    print()


def show_own(raw: Stats, requests: int) -> None:
    """Our functions by cumulative time. A coroutine's includes its callees, not what it awaited."""
    rows = [
        (cumulative, own, calls, f"{Path(file).parent.name}/{Path(file).name}:{name}")
        for (file, _, name), (_, calls, own, cumulative, _) in raw.items()
        if "/mitm_balancer/" in file
    ]
    print("the balancer's functions: cumulative and own microseconds per request, calls per request")
    for cumulative, own, calls, label in sorted(rows, reverse=True)[:LINES]:
        print(f"  {1e6 * cumulative / requests:8.0f}{1e6 * own / requests:8.0f}{calls / requests:8.1f}  {label}")


def area(file: str, name: str) -> str:
    """The package of a function; built-ins have no file and go by what they are."""
    if file == "~":
        return f"built-in {name}" if "_openssl" in name or "_socket" in name or "sqlite3" in name else "built-ins"
    for prefix, pattern in AREAS:
        if match := pattern.search(file):
            return prefix + match[1].removeprefix("mitm_balancer/").removeprefix("mitmproxy/")
    return "other"


def is_wait(name: str) -> bool:
    return any(word in name for word in ("'poll'", "_thread.lock", "SimpleQueue", "'select'"))
