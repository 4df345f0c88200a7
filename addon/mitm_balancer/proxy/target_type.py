"""Types of command arguments that mitmproxy completes and checks: accounts, providers, strategies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mitmproxy.types
from mitmproxy.command import CommandManager

from mitm_balancer.config import STRATEGIES
from mitm_balancer.targets import UnknownTargetError, candidates, find

type Names = Callable[[], Sequence[str]]
"""The accounts that there are now."""


class Target(str):
    """An account (provider/alias, or an alias that only one has) or a provider; it may be one that is gone by now."""

    __slots__ = ()


class StrategyName(str):
    """One of `STRATEGIES`."""

    __slots__ = ()


class _TargetType(mitmproxy.types._BaseType):
    typ = Target
    display = "account"

    def __init__(self, names: Names) -> None:
        self._names = names

    def completion(self, manager: CommandManager, t: Any, s: str) -> Sequence[str]:  # noqa: ARG002
        return candidates(self._names())

    def parse(self, manager: CommandManager, typ: Any, s: str) -> Target:  # noqa: ARG002
        try:
            find(s, self._names())
        except UnknownTargetError as e:
            raise ValueError(str(e)) from e
        return Target(s)

    def is_valid(self, manager: CommandManager, typ: Any, val: Any) -> bool:  # noqa: ARG002
        try:
            find(val, self._names())
        except UnknownTargetError:
            return False
        return True


class _StrategyType(mitmproxy.types._BaseType):
    typ = StrategyName
    display = "strategy"

    def completion(self, manager: CommandManager, t: Any, s: str) -> Sequence[str]:  # noqa: ARG002
        return STRATEGIES

    def parse(self, manager: CommandManager, typ: Any, s: str) -> StrategyName:  # noqa: ARG002
        if s not in STRATEGIES:
            raise ValueError(f"there is no strategy {s}; there are: {', '.join(STRATEGIES)}")
        return StrategyName(s)

    def is_valid(self, manager: CommandManager, typ: Any, val: Any) -> bool:  # noqa: ARG002
        return val in STRATEGIES


def register(names: Names) -> None:
    """Make them known to mitmproxy; again after a reload of the script, with the names of then."""
    known = mitmproxy.types.CommandTypes.typemap
    known[Target] = _TargetType(names)
    known[StrategyName] = _StrategyType()
