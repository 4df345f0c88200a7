"""How each account stands, out of the memory of the running proxy: for mitmproxy's commands.

`balancer status` tells the same from the store, with the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mitm_balancer.config import AccountSpec
from mitm_balancer.core.durations import countdown
from mitm_balancer.core.health import ALL_MODELS, Cooldown
from mitm_balancer.operations import Board, overrides, serving
from mitm_balancer.operations.targets import find
from mitm_balancer.proxy.activity import Activity
from mitm_balancer.proxy.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one account. `why`: what keeps it from serving, or from serving everything; "" when nothing does."""

    name: str
    state: str
    active: bool
    in_flight: int
    why: str


def all_of(runtime: Runtime, board: Board) -> list[Standing]:
    """In the order of the configuration."""
    cooling: dict[str, list[Cooldown]] = {}
    for cooldown in runtime.health.cooldowns(runtime.clock()):
        cooling.setdefault(cooldown.name, []).append(cooldown)
    return [_of(spec, runtime, board, cooling.get(spec.name, [])) for spec in board.config.accounts]


def page(runtime: Runtime, board: Board, problems: Sequence[str]) -> list[str]:
    """The whole proxy, as lines."""
    admission, settings = runtime.admission, board.settings()
    counts = overrides.apply(board.config, settings)
    balancing = f"on, strategy {counts.priority.strategy}" if counts.balancing else "off: no failover"
    lines = [f"balancing {balancing}", f"{admission.total} running, {admission.waiting} waiting"]
    lines += [f"by command: {text}" for text in overrides.told(board.config, settings)]
    lines += [f"problem: {problem}" for problem in problems]
    for standing in all_of(runtime, board):
        doing = f", {standing.in_flight} running" if standing.in_flight else ""
        why = f"; {standing.why}" if standing.why else ""
        lines.append(f"{'▶' if standing.active else ' '} {standing.name}: {standing.state}{doing}{why}")
    return lines


def inspect(runtime: Runtime, board: Board, activity: Activity, target: str, now: float) -> list[str]:
    """Lines about each account that `target` names; `now` is wall-clock seconds. Raises UnknownTargetError."""
    named = find(target, [spec.name for spec in board.config.accounts])
    standings = {standing.name: standing for standing in all_of(runtime, board)}
    lines: list[str] = []
    for spec in overrides.apply(board.config, board.settings()).accounts:
        if spec.name in named.accounts:
            lines += _inspected(spec, standings[spec.name], runtime, activity, now)
    return lines


def _of(spec: AccountSpec, runtime: Runtime, board: Board, cooling: list[Cooldown]) -> Standing:
    pool = runtime.pools.get(spec.provider)
    clock = runtime.clock()
    state, why = _state(spec, runtime, board, cooling)
    told = [_told(cooldown, clock) for cooldown in sorted(cooling, key=lambda c: c.model)]
    chosen = pool.priority.select("", runtime.health, clock).chosen if pool is not None else None
    active = chosen is not None and chosen.name == spec.name
    return Standing(spec.name, state, active, runtime.admission.running(spec.name), "; ".join([*why, *told]))


def _state(spec: AccountSpec, runtime: Runtime, board: Board, cooling: list[Cooldown]) -> tuple[str, list[str]]:
    """The strongest reason: what only a person changes before what passes by itself."""
    pool = runtime.pools.get(spec.provider)
    target = pool.priority.find(spec.name) if pool is not None else None
    if held := serving(spec, board.flags()):
        return held.partition(" ")[0], [held] if " " in held else []
    if target is not None and target.usable:
        return "unusable", [target.usable]
    if any(cooldown.model == ALL_MODELS for cooldown in cooling):
        return "cooling", []
    if runtime.health.breaker_state(spec.name, runtime.clock()) == "open":
        return "failing", ["breaker open"]
    return ("limited" if cooling else "ready"), []


def _told(cooldown: Cooldown, clock: float) -> str:
    model = f" for {cooldown.model}" if cooldown.model else ""
    return f"back in {countdown(cooldown.until - clock)}{model}: {cooldown.verdict.value}: {cooldown.reason}"


def _inspected(
    spec: AccountSpec, standing: Standing, runtime: Runtime, activity: Activity, now: float
) -> Iterator[str]:
    clock, known = runtime.clock(), runtime.around.known
    yield f"{spec.name}: {standing.state}{', active' if standing.active else ''}"
    if standing.why:
        yield f"  {standing.why}"
    running = f"{standing.in_flight} of {spec.concurrency_limit} running"
    yield f"  {running}, priority {spec.priority}, weight {spec.weight:g}"
    yield f"  models {', '.join(spec.models)}{f'; sent to {spec.base_url}' if spec.base_url else ''}"
    for reading in known.evidence.readings(spec.name, clock):
        reset = f", resets in {countdown(reading.reset - clock)}" if reading.reset is not None else ""
        source = reading.source.name.lower()
        yield f"  {reading.window}: {reading.used:.0f} % used{reset} ({source}, {countdown(reading.age(clock))} old)"
    health, failure = known.vitals.health(spec.name, clock), known.vitals.failure(spec.name, clock)
    yield f"  health {health:.2f}, failure rate {failure:.2f}, breaker {runtime.health.breaker_state(spec.name, clock)}"
    doings = activity.told(spec.name)
    if doings.get("last_used") is not None:
        yield f"  used {countdown(now - doings['last_used'])} ago; {doings['served']} served, {doings['failed']} failed"
    if error := doings.get("last_error"):
        told = ": ".join(str(error[word]) for word in ("verdict", "reason", "message") if error.get(word))
        yield f"  last error {countdown(now - error['at'])} ago: {told}"
