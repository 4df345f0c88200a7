"""The page of the strategies is what the simulation prints, and names every strategy."""

from __future__ import annotations

import re

import pytest

from sim.compare import COLUMNS, PAGE, PROSE, ROWS, cells, markdown, page
from sim.profiles import PROFILES
from sim.report import Numbers, jain
from sim.strategies import STRATEGIES
from sim.world import World


def test_the_page_has_every_strategy_in_every_profile() -> None:
    """In a row of its own, with a number in each column."""
    text = PAGE.read_text()
    assert text.startswith(PROSE.read_text().rstrip())
    for profile in PROFILES.values():
        section = text.split(f"## {profile.title}\n")[1].split("\n## ")[0]
        rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
        assert [row[0] for row in rows] == [row.title for row in ROWS]
        assert {len(row) for row in rows} == {len(COLUMNS)}
        assert all(re.fullmatch(r"[\d.]+%?|-", cell) for row in rows for cell in row[1:])


def test_every_strategy_and_every_column_is_told() -> None:
    """The rows are all that the core has."""
    assert [row.strategy for row in ROWS[:-1]] == list(STRATEGIES)
    assert all(f"| {column} |" in PROSE.read_text() for column in COLUMNS[1:])


def test_numbers_become_cells() -> None:
    """As the columns say."""
    numbers = Numbers(
        simulations=2, requests=1000, lost=15, avoidable=5, attempts=1100, prompt=10_000, cold=50, cold_switches=3,
        offered=10.0, wasted=2.5, evenness=1.8, worst=0.1, blocked=7200.0, virtual_days=4.0,
    )  # fmt: skip
    assert cells("x", numbers) == ("x", "1.50%", "0.50%", "0.5", "1.100", "3.0", "0.50%", "25.0%", "0.90", "5%")
    assert cells("x", Numbers())[7] == "-"
    assert markdown({"x": numbers}).count("\n") == 2
    assert "## Trouble" in page({"trouble": {"x": numbers}})


@pytest.mark.parametrize(("shares", "index"), [([1, 1, 1], 1.0), ([5, 0, 0, 0], 0.25), ([], 1.0), ([0, 0], 1.0)])
def test_jain(shares: list[float], index: float) -> None:
    assert jain(shares) == index


def test_a_profile_is_run_with_the_defaults_and_repeats_itself() -> None:
    """And moves, prompts and caches are counted."""
    scenario = PROFILES["two"].scenario
    first, second = (World(1, scenario, "priority", days=3.0).run() for _ in range(2))
    assert first == second
    assert first.prompt > first.fresh > first.cold >= 0
    assert World(1, scenario, "round-robin", days=3.0).run() != first
