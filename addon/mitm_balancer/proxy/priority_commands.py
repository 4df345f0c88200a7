"""mitmproxy's commands for the order: which account goes first, the matrix of providers, the strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mitmproxy.addonmanager import Loader

from mitm_balancer.config import Config
from mitm_balancer.core.matrix import Rename
from mitm_balancer.operations import ordering, overrides
from mitm_balancer.proxy.hand import Hand
from mitm_balancer.proxy.target_type import ProviderName, StrategyName, Target

SAME = ("", "-")
"""Stands for the client's own model."""


class PriorityCommands:
    """`balancer.priority.*`."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    def register(self, loader: Loader) -> None:
        """Make all of them known."""
        commands: dict[str, Callable[..., object]] = {
            "list": self.list,
            "move": self.move,
            "enable": self.enable,
            "disable": self.disable,
            "model": self.model,
            "strategy": self.strategy,
        }
        for name, command in commands.items():
            loader.add_command(f"balancer.priority.{name}", command)

    def list(self) -> Sequence[str]:
        """The strategy, the providers in their order, and the accounts of each in theirs."""
        board = self._hand.operated().operator
        return [*_page(overrides.apply(board.config, board.settings()))]

    def move(self, target: Target, where: str) -> Sequence[str]:
        """Move an account among its provider's, or a provider in the matrix: up, down, first, last, or a place."""
        return self._hand.done(lambda board: ordering.move(board, target, where))

    def enable(self, provider: ProviderName, model: str = "") -> Sequence[str]:
        """Let a provider stand in for others of the matrix; with a model, that is what it is asked for."""
        return self._hand.done(lambda board: ordering.enable(board, provider, _asked(model)))

    def disable(self, provider: ProviderName) -> Sequence[str]:
        """Let a provider serve nobody, not even its own clients."""
        return self._hand.done(lambda board: ordering.disable(board, provider))

    def model(self, provider: ProviderName, model: str) -> Sequence[str]:
        """What is asked of a provider that stands in; - for the client's own model."""
        return self._hand.done(lambda board: ordering.model(board, provider, _asked(model)))

    def strategy(self, strategy: StrategyName) -> Sequence[str]:
        """Which of a provider's accounts serves."""
        return self._hand.done(lambda board: ordering.strategy(board, strategy))


def _asked(model: str) -> Rename:
    return None if model in SAME else model


def _page(config: Config) -> Iterator[str]:
    yield f"strategy {config.priority.strategy}"
    rows = {row.provider: row for row in config.priority.providers}
    for place, row in enumerate(rows.values(), 1):
        yield f"{place}. {row.provider}: {ordering.as_text(row.model) if row.enabled else 'disabled'}"
        yield from _accounts(config, row.provider)
    for provider in sorted({spec.provider for spec in config.accounts} - rows.keys()):
        yield f"-  {provider}: serves its own clients only"
        yield from _accounts(config, provider)


def _accounts(config: Config, provider: str) -> Iterator[str]:
    for spec in ordering.in_order(config, provider):
        yield f"     {spec.alias}{'' if spec.enabled else ' (disabled)'}"
