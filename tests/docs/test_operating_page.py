"""docs/operating.md has every command of mitmproxy with its parameters, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mitmproxy import command, command_lexer
from mitmproxy.tools.console.keymap import Contexts, KeymapConfig

from mitm_balancer.cli.completion_verb import INSTALL
from mitm_balancer.cli.main import VERBS
from mitm_balancer.proxy import target_type
from mitm_balancer.proxy.commands import Commands
from mitm_balancer.proxy.hand import Hand
from mitm_balancer.proxy.priority_commands import PriorityCommands

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
ROWS = dict(re.findall(r"^\| `(balancer\.[a-z.]+)([^`]*)` \|", PAGE, re.M))


class Loader:
    """Takes commands as mitmproxy's does."""

    def __init__(self) -> None:
        self.manager = command.CommandManager(None)

    def add_command(self, path: str, func: Callable[..., object]) -> None:
        self.manager.add(path, func)


@pytest.fixture(scope="module")
def commands() -> dict[str, command.Command]:
    hand, loader = Hand(lambda: None), Loader()
    target_type.register(hand.accounts, hand.providers)
    Commands(hand).register(loader)
    PriorityCommands(hand).register(loader)
    return loader.manager.commands


def test_every_command_is_on_the_page_and_every_one_on_the_page_exists(commands: dict[str, command.Command]) -> None:
    assert set(ROWS) == set(commands)


@pytest.mark.parametrize("name", ROWS)
def test_its_parameters_are_there_and_it_has_help(name: str, commands: dict[str, command.Command]) -> None:
    assert ROWS[name].split() == [parameter.name for parameter in commands[name].parameters]
    assert commands[name].help


def test_the_keys_of_the_page_are_read_and_run_commands_that_exist(commands: dict[str, command.Command]) -> None:
    block = re.search(r"```yaml\n(.*?)```", PAGE, re.S)
    assert block is not None
    bindings = KeymapConfig(None).parse(block[1])
    assert len(bindings) == 3
    for binding in bindings:
        assert set(binding.get("ctx", ["global"])) <= set(Contexts)
        words = [command_lexer.unquote(word) for word in binding["cmd"].split()]
        assert words[0] == "console.command" or words[0] in commands
        assert words[0] != "console.command" or words[1] in commands


def test_the_verbs_of_the_page_exist() -> None:
    told = set(re.findall(r"`balancer ([a-z]+)", PAGE))
    assert {"pause", "resume", "drain", "disable", "clear", "inspect", "on", "off", "reload", "completion"} <= told
    assert told <= set(VERBS)


@pytest.mark.parametrize("shell", INSTALL)
def test_the_line_that_installs_completion_is_the_programs(shell: str) -> None:
    assert INSTALL[shell].split("   #")[0] in PAGE
