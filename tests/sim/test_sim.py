"""Twenty seeds keep every promise; every fault that is put into the core on purpose is noticed."""

from __future__ import annotations

import pytest

from sim.breaks import BREAKS, Break
from sim.run import Failed, scenario_of, simulate
from sim.scenarios import SCENARIOS
from sim.strategies import STRATEGIES

FEW = 12
"""Seeds within which a fault must show. Most do in the first one."""


@pytest.mark.parametrize("seed", range(20), ids=lambda seed: f"{seed}-{scenario_of(seed)}")
def test_every_promise_is_kept(seed: int) -> None:
    """And the run did something: requests were served after failures."""
    numbers = simulate(seed, STRATEGIES[seed % len(STRATEGIES)], days=0.6)
    assert numbers.requests > 5
    assert numbers.served > 0


@pytest.mark.parametrize("fault", BREAKS, ids=lambda fault: fault.what.replace(" ", "-"))
def test_a_broken_core_is_noticed(fault: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the promise that it breaks; the failure has its seed and its last events."""
    fault.put(monkeypatch)
    with pytest.raises(Failed) as failed:
        for seed in range(FEW):
            simulate(seed, scenario=fault.scenario, days=fault.days)
    assert failed.value.promise == fault.promise, str(failed.value)
    assert str(failed.value).startswith("SEED=")
    assert "replay: python -m sim --seed" in str(failed.value)


def test_a_seed_repeats_itself() -> None:
    """To the last number."""
    assert simulate(7, days=1.0) == simulate(7, days=1.0)


def test_every_scenario_is_run() -> None:
    """By any eight seeds in a row."""
    assert {scenario_of(seed) for seed in range(5, 5 + len(SCENARIOS))} == set(SCENARIOS)
