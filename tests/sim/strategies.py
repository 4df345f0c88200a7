"""The strategies that can be simulated: how each makes the priority module of one provider."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mitm_balancer.core.priority import Priority, TargetInfo

type MakePriority = Callable[[Sequence[TargetInfo]], Priority]

STRATEGIES: dict[str, MakePriority] = {"priority": Priority}
