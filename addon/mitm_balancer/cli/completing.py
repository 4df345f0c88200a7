"""Completion: argcomplete asks our parsers, and we tell it the words that only the home knows.

Which words an argument takes is told by its metavar, so no verb need know of completion. Never fails, never prints.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from mitm_balancer.cli.bus import opened
from mitm_balancer.cli.output import CliError
from mitm_balancer.cli.places import home_of
from mitm_balancer.cli.roster_view import known_config
from mitm_balancer.config import STRATEGIES, Config
from mitm_balancer.operations.targets import candidates

type Words = Callable[[Config], Iterable[str]]


METAVARS: dict[str, Words] = {
    "TARGET": lambda config: candidates(spec.name for spec in config.accounts),
    "ACCOUNT": lambda config: candidates(spec.name for spec in config.accounts),
    "NAME": lambda config: [spec.name for spec in config.accounts],
    "A": lambda config: [spec.name for spec in config.accounts],
    "PROVIDER": lambda config: [provider.name for provider in config.all_providers()],
    "STRATEGY": lambda _: STRATEGIES,
}


def attach(parser: argparse.ArgumentParser) -> None:
    """Give each argument of the parser, and of those below it, the words that its metavar stands for."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                attach(below)
        elif (words := METAVARS.get(str(action.metavar))) is not None and not hasattr(action, "completer"):
            action.completer = _completer(words)  # type: ignore[attr-defined]


def _completer(words: Words) -> Callable[..., list[str]]:
    def complete(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        try:
            home = home_of(parsed_args)
            with opened(home) as store:
                return [word for word in words(known_config(parsed_args, home, store)) if word.startswith(prefix)]
        except (CliError, OSError):
            return []

    return complete


complete_targets = _completer(METAVARS["TARGET"])
"""For arguments whose metavar does not tell what they take: accounts, providers, aliases that only one has."""

complete_accounts = _completer(METAVARS["NAME"])
"""The same: accounts as provider/alias."""


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell that asks, and end the process; returns when none asks."""
    import argcomplete  # noqa: PLC0415 - takes its time, and a shell asks rarely

    attach(parser)
    argcomplete.autocomplete(parser, always_complete_options="long")
