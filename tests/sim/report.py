"""What came of it: numbers that can be compared between strategies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Numbers:
    """Sums of one or many simulations. Requests are client requests; what a client sends again counts again."""

    simulations: int = 0
    steps: int = 0
    requests: int = 0
    served: int = 0
    lost: int = 0
    """The client saw an error that was not its own fault (cut streams and crashes included)."""
    avoidable: int = 0
    """Lost although at that moment some account could truly have served."""
    gone: int = 0
    """Clients that hung up."""
    attempts: int = 0
    switches: int = 0
    """A session was served by another account than the time before: its prompt cache is lost."""
    ambiguous: int = 0
    """Answers that came after an attempt that may have been billed too."""
    crashes: int = 0
    offered: float = 0.0
    wasted: float = 0.0
    """Units of quota: of all windows that reset, and what of them was never used."""
    virtual_days: float = 0.0
    prompt: int = 0
    """Tokens of all prompts that were answered, where they are counted."""
    fresh: int = 0
    """Of these, what no cache held."""
    cold_switches: int = 0
    cold: int = 0
    """Answers for which another account had more in its cache, and how many tokens more."""
    blocked: float = 0.0
    """Seconds that clients were told to wait because all accounts are out."""
    evenness: float = 0.0
    """Jain's index of the work of the accounts, weighed by the work of their provider; a sum over simulations."""
    worst: float = 0.0
    """The largest share of its requests that a session lost; a sum over simulations."""

    def add(self, other: Numbers) -> None:
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def jain(shares: Sequence[float]) -> float:
    """1: all have the same; 1/n: one has all."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


_COLUMNS = (
    "",
    "sims",
    "days",
    "requests",
    "lost",
    "avoidable",
    "attempts",
    "switches",
    "wasted",
    "maybe 2x",
    "crashes",
)
_WIDTHS = (12, 5, 6, 9, 7, 9, 9, 9, 7, 8, 8)


def table(by_scenario: Mapping[str, Numbers]) -> str:
    """One line per scenario and one for all."""
    whole = Numbers()
    for numbers in by_scenario.values():
        whole.add(numbers)
    lines = [_line(_COLUMNS), *(_line(_row(name, numbers)) for name, numbers in by_scenario.items())]
    if len(by_scenario) > 1:
        lines.append(_line(_row("all", whole)))
    return "\n".join(lines)


def _row(name: str, n: Numbers) -> tuple[str, ...]:
    asked = max(1, n.requests)
    return (
        name, f"{n.simulations}", f"{n.virtual_days:.0f}", f"{n.requests}", f"{n.lost / asked:.2%}",
        f"{n.avoidable / asked:.2%}", f"{n.attempts / asked:.3f}", f"{n.switches / asked:.2%}",
        f"{n.wasted / n.offered:.0%}" if n.offered else "-", f"{n.ambiguous}", f"{n.crashes}",
    )  # fmt: skip


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(
        cell.ljust(width) if n == 0 else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    )
