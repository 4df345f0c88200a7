"""What commands of mitmproxy share: the running proxy, and mistakes told in its way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mitmproxy import exceptions

from mitm_balancer.operations import Board, Report
from mitm_balancer.operations.ordering import OrderError
from mitm_balancer.operations.targets import UnknownTargetError
from mitm_balancer.proxy.activity import Activity
from mitm_balancer.proxy.runtime import Runtime


class Reloadable(Board, Protocol):
    """The running proxy's board."""

    async def reload(self) -> Sequence[str]:
        """Read the configuration again; all that is wrong with it."""
        ...


class Operated(Protocol):
    """What is commanded (app.App)."""

    runtime: Runtime
    activity: Activity

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is wrong with the configuration as it was read last."""
        ...

    @property
    def operator(self) -> Reloadable: ...


class Hand:
    """`backend` gives the running one; None while there is none, which is told."""

    def __init__(self, backend: Callable[[], Operated | None]) -> None:
        self._backend = backend

    def done(self, operation: Callable[[Board], Report]) -> Sequence[str]:
        """Do it; what to tell of it."""
        board = self.operated().operator
        report = tried(lambda: operation(board))
        return [*report.lines, *report.warnings]

    def operated(self) -> Operated:
        """The running proxy. Raises CommandError."""
        if (operated := self._backend()) is None:
            raise exceptions.CommandError("mitm-balancer does not run: its configuration could not be read")
        return operated

    def accounts(self) -> Sequence[str]:
        """The names that there are, for completion."""
        operated = self._backend()
        return [] if operated is None else [spec.name for spec in operated.operator.config.accounts]

    def providers(self) -> Sequence[str]:
        """The same of providers."""
        operated = self._backend()
        return [] if operated is None else [provider.name for provider in operated.operator.config.all_providers()]


def tried[T](work: Callable[[], T]) -> T:
    """A mistake of the operator's is a CommandError."""
    try:
        return work()
    except (UnknownTargetError, OrderError) as e:
        raise exceptions.CommandError(str(e)) from e
