"""What the strategies come to, for the same people and the same weather: numbers, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sim.profiles import PROFILES, Profile
from sim.report import Numbers
from sim.strategies import STRATEGIES
from sim.world import World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "strategies.md"
PROSE = Path(__file__).with_name("strategies.md")
"""What people have written; the tables take the place of its last line."""

EMPTY = "`priority`, `leave_at: 0`"
"""What leave-before-empty is worth is seen from the row without it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to choose."""

    title: str
    strategy: str
    leave_at: float = 95.0


ROWS = (*(Row(f"`{name}`", name) for name in STRATEGIES), Row(EMPTY, "priority", 0.0))

type Table = Mapping[str, Numbers]
"""Row title -> sums over the seeds."""

COLUMNS = (
    "strategy", "lost", "avoidable", "blocked h/day", "attempts", "cold switches", "re-read", "wasted", "even",
    "worst session",
)  # fmt: skip


def measure(profile: Profile, row: Row) -> Numbers:
    """Sums over its seeds. A broken promise raises."""
    numbers = Numbers()
    for seed in range(profile.seeds):
        numbers.add(World(seed, profile.scenario, row.strategy, leave_at=row.leave_at).run())
    return numbers


def compare(names: Iterable[str] = PROFILES) -> dict[str, Table]:
    """Every row in every profile."""
    return {name: {row.title: measure(PROFILES[name], row) for row in ROWS} for name in names}


def page(tables: Mapping[str, Table]) -> str:
    """The whole page as Markdown."""
    parts = [PROSE.read_text().rstrip()]
    for name, table in tables.items():
        profile = PROFILES[name]
        some = next(iter(table.values()))
        runs = f"{some.simulations} simulation{'s' if some.simulations > 1 else ''}"
        sums = f"{runs}, {some.virtual_days:.0f} days, about {some.requests:,} requests a row."
        parts.append(f"## {profile.title}\n\n{profile.text} {sums}\n\n{markdown(table)}")
    return "\n\n".join(parts) + "\n"


def markdown(table: Table) -> str:
    """One line per strategy."""
    lines = [COLUMNS, ("---",) + ("---:",) * (len(COLUMNS) - 1), *(cells(name, n) for name, n in table.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(name: str, n: Numbers) -> tuple[str, ...]:
    asked, runs = max(1, n.requests), max(1, n.simulations)
    return (
        name,
        f"{n.lost / asked:.2%}",
        f"{n.avoidable / asked:.2%}",
        f"{n.blocked / 3600 / max(1, n.virtual_days):.1f}",
        f"{n.attempts / asked:.3f}",
        f"{1000 * n.cold_switches / asked:.1f}",
        f"{n.cold / max(1, n.prompt):.2%}",
        f"{n.wasted / n.offered:.1%}" if n.offered else "-",
        f"{n.evenness / runs:.2f}",
        f"{n.worst / runs:.0%}",
    )
