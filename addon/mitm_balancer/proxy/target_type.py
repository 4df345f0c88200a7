"""Types of command arguments that mitmproxy completes and checks: accounts, providers, strategies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mitmproxy.types
from mitmproxy.command import CommandManager

from mitm_balancer.config import STRATEGIES
from mitm_balancer.operations.targets import UnknownTargetError, candidates, find

type Names = Callable[[], Sequence[str]]
"""What there is now."""


class Target(str):
    """An account (provider/alias, or an alias that only one has) or a provider; it may be one that is gone by now."""

    __slots__ = ()


class ProviderName(str):
    """A provider, whether it has accounts or not."""

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


class _WordType(mitmproxy.types._BaseType):
    """One of a list of words."""

    def __init__(self, typ: type[str], display: str, words: Names) -> None:
        self.typ, self.display = typ, display
        self._words = words

    def completion(self, manager: CommandManager, t: Any, s: str) -> Sequence[str]:  # noqa: ARG002
        return self._words()

    def parse(self, manager: CommandManager, typ: Any, s: str) -> str:  # noqa: ARG002
        if s not in (words := self._words()):
            raise ValueError(f"there is no {self.display} {s}; there are: {', '.join(words)}")
        return s

    def is_valid(self, manager: CommandManager, typ: Any, val: Any) -> bool:  # noqa: ARG002
        return val in self._words()


def register(accounts: Names, providers: Names) -> None:
    """Make them known to mitmproxy; again after a reload of the script, with the names of then."""
    known = mitmproxy.types.CommandTypes.typemap
    known[Target] = _TargetType(accounts)
    known[ProviderName] = _WordType(ProviderName, "provider", providers)
    known[StrategyName] = _WordType(StrategyName, "strategy", lambda: STRATEGIES)
