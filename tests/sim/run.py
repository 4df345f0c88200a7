"""Many simulations: which seed is which scenario, and how a failure is told."""

from __future__ import annotations

import io
from collections.abc import Iterable

from sim.promises import Broken
from sim.report import Numbers
from sim.scenarios import SCENARIOS
from sim.watch import Watch
from sim.world import World


class Failed(AssertionError):
    """A simulation in which a promise was broken; its text has the seed and the last events."""

    def __init__(self, seed: int, scenario: str, strategy: str, why: BaseException, watch: Watch) -> None:
        super().__init__(_story(seed, scenario, strategy, why, watch))
        self.promise = why.promise if isinstance(why, Broken) else type(why).__name__


def scenario_of(seed: int) -> str:
    """Seeds take the scenarios in turn."""
    names = list(SCENARIOS)
    return names[seed % len(names)]


def simulate(seed: int, strategy: str = "priority", *, scenario: str = "", days: float | None = None) -> Numbers:
    """One simulation. Raises Failed."""
    scenario = scenario or scenario_of(seed)
    world = World(seed, scenario, strategy, days=days)
    try:
        return world.run()
    except Exception as why:  # whatever goes wrong must be told with its seed
        raise Failed(seed, scenario, strategy, why, world.watch) from why


def simulate_all(
    seeds: Iterable[int], strategy: str, *, scenario: str = "", days: float | None = None
) -> dict[str, Numbers]:
    """Sums per scenario. Raises Failed at the first one."""
    found: dict[str, Numbers] = {}
    for seed in seeds:
        name = scenario or scenario_of(seed)
        found.setdefault(name, Numbers()).add(simulate(seed, strategy, scenario=name, days=days))
    return found


def _story(seed: int, scenario: str, strategy: str, why: BaseException, watch: Watch) -> str:
    out = io.StringIO()
    out.write(f"SEED={seed} scenario={scenario} strategy={strategy}: {why or type(why).__name__}\n")
    for at, text, facts in watch.log:
        out.write(f"  {at:14.3f}  {text.format(*facts)}\n")
    out.write(f"  {watch.now:14.3f}  {why!r}\n")
    out.write(f"replay: python -m sim --seed {seed} --scenario {scenario} --strategy {strategy}")
    return out.getvalue()
