"""Runs a case: all its variants in turns, round after round."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import proc
from bench.cases import Case
from bench.job import Job, Load, Result
from bench.variants import Stage, Variant

TURN_LIMIT = 300.0
"""Seconds for one turn of one variant."""

type Progress = Callable[[str], None]


@dataclass(slots=True)
class Round:
    """One turn of every variant."""

    results: dict[str, Result] = field(default_factory=dict)
    refusal: Result | None = None
    """The origin's refusals alone, asked directly: the round trip that a redispatch cannot avoid."""


@dataclass(slots=True)
class Run:
    """A case's measurements."""

    case: Case
    rounds: list[Round] = field(default_factory=list)
    peak_rss_mib: dict[str, float] = field(default_factory=dict)
    """Per proxy, over the whole case."""


def run_case(case: Case, rounds: int, letters: str, progress: Progress) -> Run:
    """Start the case's variants, give each an unrecorded turn, then measure `rounds` rounds."""
    letters = "".join(v for v in case.variants if v in letters)
    run = Run(case)
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as folder, Stage(case, Path(folder)) as stage:
        variants = [stage.start(letter) for letter in letters]
        warm = dataclasses.replace(case.load, requests=max(1, case.load.requests // 4))
        for variant in variants:
            turn(variant, warm)
        for n in range(rounds):
            progress(f"{case.name}: round {n + 1} of {rounds}")
            run.rounds.append(_round(case, variants))
        run.peak_rss_mib = {v.letter: proc.peak_rss_mib(v.child.pid) for v in variants if v.child}
    return run


def profile_case(case: Case, letter: str, output: Path) -> Result:
    """One variant alone under the profiler, three turns' load; the statistics are in `output` afterwards."""
    load = dataclasses.replace(case.load, requests=3 * case.load.requests)
    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as name, Stage(case, Path(name), output) as stage:
        return turn(stage.start(letter), load)


def _round(case: Case, variants: list[Variant]) -> Round:
    done = Round()
    for variant in variants:
        done.results[variant.letter] = turn(variant, case.load)
        if variant.letter == "a" and case.load.refuse:
            done.refusal = measure(variant.job(dataclasses.replace(case.load, refuse="always")))
    return done


def turn(variant: Variant, load: Load) -> Result:
    """One turn, checked: an answer that is not the expected one makes the numbers worthless."""
    if variant.letter == "a":
        load = dataclasses.replace(load, refuse="")
    try:
        result = measure(variant.job(load))
    except proc.BenchError as e:
        raise proc.BenchError(f"variant {variant.letter}: {e}\n{_log_tail(variant)}") from e
    problem = ""
    if set(result.statuses) != {"200"}:
        problem = f"statuses {result.statuses}"
    elif variant.letter in "cd" and not all(result.attempts):
        problem = f"{result.attempts.count(0)} answers without x-balancer: not balanced"
    elif load.events and result.events < load.events * load.requests:
        problem = f"{result.events} events instead of {load.events * load.requests}"
    if problem:
        raise proc.BenchError(f"variant {variant.letter}: {problem}\n{_log_tail(variant)}")
    return result


def measure(job: Job) -> Result:
    """One load client."""
    done = subprocess.run(
        proc.module("client"),
        input=json.dumps(dataclasses.asdict(job)),
        capture_output=True,
        text=True,
        cwd=proc.ROOT,
        timeout=TURN_LIMIT,
        check=False,
    )
    if done.returncode:
        raise proc.BenchError(f"the load client failed:\n{done.stderr[-1500:]}")
    return Result(**json.loads(done.stdout))


def _log_tail(variant: Variant) -> str:
    if variant.child is None:
        return ""
    return "\n".join(variant.child.log.read_text(errors="replace").splitlines()[-15:])
