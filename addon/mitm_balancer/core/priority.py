"""The priority module: which targets may serve, and in what order.

Eligibility first, order second; both leave a reason behind, so that `why` can tell the story. The first strategy is
`priority`: the operator's order, staying on an account while it serves (an agent's prompt cache lives there).
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

from mitm_balancer.core.health import Block, Health


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What the order depends on; made once per configuration, sorted by (`priority`, declaration)."""

    name: str
    provider: str
    models: tuple[str, ...] = ("*",)
    enabled: bool = True
    usable: str = ""
    """Empty, or why the account has no credential to send."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A target that may not serve, and why."""

    name: str
    block: Block


@dataclass(frozen=True, slots=True)
class Selection:
    """The target that serves next, and those that were passed over on the way to it."""

    chosen: TargetInfo | None
    rejected: tuple[Rejected, ...]
    because: str = ""


class Priority:
    """Picks for one provider. `active` is the account it stays on."""

    def __init__(self, targets: Sequence[TargetInfo]) -> None:
        self.targets = tuple(targets)
        self._by_name = {target.name: target for target in self.targets}
        self.active: str | None = None

    def select(self, model: str, health: Health, now: float, *, without: Container[str] = ()) -> Selection:
        """The best eligible target outside `without`. Usually looks at one target, at all only when none can serve."""
        rejected: list[Rejected] = []
        fallback: TargetInfo | None = None
        for target, because in self._in_order():
            if target.name in without:
                continue
            block = self.blocked(target, model, health, now)
            if block is None:
                return Selection(target, tuple(rejected), because)
            if block.breaker and fallback is None:
                fallback = target
            rejected.append(Rejected(target.name, block))
        if fallback is not None:
            # Never eject the last one: a breaker is our own guess, and a guess must not stop all work.
            return Selection(fallback, tuple(r for r in rejected if r.name != fallback.name), "last one left")
        return Selection(None, tuple(rejected))

    def find(self, name: str) -> TargetInfo | None:
        """The target of that name."""
        return self._by_name.get(name)

    def preferred(self) -> TargetInfo | None:
        """The account that it stays on, else the first in operator order that could ever serve."""
        for target, _ in self._in_order():
            if target.enabled and not target.usable:
                return target
        return None

    def served(self, name: str) -> None:
        """`name` answered: stay on it."""
        if name in self._by_name:
            self.active = name

    def adopt(self, old: Priority | None) -> None:
        """Take over the active account from before a reload, if it is still there."""
        if old is not None and old.active in self._by_name:
            self.active = old.active

    def _in_order(self) -> list[tuple[TargetInfo, str]]:
        order = [(target, "operator order") for target in self.targets]
        if self.active is not None and (active := self._by_name.get(self.active)) is not None:
            order.insert(0, (active, "stays"))
            order = [order[0], *(entry for entry in order[1:] if entry[0] is not active)]
        return order

    @staticmethod
    def blocked(target: TargetInfo, model: str, health: Health, now: float) -> Block | None:
        """Why this target may not serve now; None when it may."""
        if not target.enabled:
            return Block("disabled", None)
        if target.usable:
            return Block(target.usable, None)
        if not allows(target.models, model):
            return Block(f"does not serve {model}", None)
        return health.blocked(target.name, model, now)


def allows(globs: tuple[str, ...], model: str) -> bool:
    """Whether a model passes an account's globs; an unknown model ("") always does."""
    return not model or globs == ("*",) or any(_glob(g).match(model) for g in globs)


@functools.lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))
