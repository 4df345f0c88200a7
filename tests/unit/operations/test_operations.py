"""The operator's verbs on a board in memory; e2e has them against real proxies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from mitm_balancer import operations
from mitm_balancer.config import Config, parse
from mitm_balancer.operations import Flags, Report, overrides
from mitm_balancer.operations.targets import UnknownTargetError
from mitm_balancer.ops.events import EventType

CONFIG = parse(
    """\
version: 1
accounts:
- {provider: anthropic, alias: a, credential: x}
- {provider: anthropic, alias: b, credential: y}
- {provider: openai, alias: o, credential: z}
- {provider: openai, alias: idle, credential: z, enabled: false}
""",
    "c.yaml",
)


class MemoryBoard:
    def __init__(self, config: Config = CONFIG) -> None:
        self._config = config
        self.kept: dict[str, Any] = {}
        self.marks: dict[str, dict[str, str | bool | None]] = {}
        self.events: list[tuple[str, str]] = []
        self.cooling: set[tuple[str, str]] = set()

    @property
    def config(self) -> Config:
        return self._config

    def settings(self) -> Mapping[str, Any]:
        return dict(self.kept)

    def flags(self) -> Flags:
        return {name: dict(of_name) for name, of_name in self.marks.items()}

    def set_setting(self, key: str, value: object) -> None:
        self.kept.pop(key, None) if value is None else self.kept.update({key: value})

    def set_flag(self, name: str, flag: str, on: bool) -> None:
        of_name = self.marks.setdefault(name, {})
        of_name.update({flag: True}) if on else of_name.pop(flag, None)

    def clear(self, names: Sequence[str], model: str | None) -> list[str]:
        gone = {(name, m) for name, m in self.cooling if name in names and model in (None, m)}
        self.cooling -= gone
        return [name for name in names if any(name == other for other, _ in gone)]

    def add_event(self, type: EventType, account: str, message: str) -> None:
        self.events.append((type, account))


@pytest.fixture
def board() -> MemoryBoard:
    return MemoryBoard()


def set_flags(board: MemoryBoard) -> dict[str, list[str]]:
    return {name: sorted(of_name) for name, of_name in board.marks.items() if of_name}


@pytest.mark.parametrize(("verb", "flag"), [("pause", "paused"), ("drain", "drained"), ("disable", "disabled")])
def test_a_state_takes_the_place_of_the_one_before(board: MemoryBoard, verb: str, flag: str) -> None:
    board.marks = {"anthropic/a": {"paused": True, "drained": True, "disabled": True}}
    board.marks["anthropic/a"].pop(flag)

    report = operations.set_state(board, verb, "a")

    assert set_flags(board) == {"anthropic/a": [flag]}
    assert report.changed == ("anthropic/a",) and report.warnings == ()
    assert board.events == [(f"operator_{flag}", "anthropic/a")]


def test_the_same_state_again_is_no_news(board: MemoryBoard) -> None:
    operations.set_state(board, "pause", "anthropic/a")
    report = operations.set_state(board, "pause", "anthropic/a")
    assert report.changed == () and "already" in report.lines[0]
    assert len(board.events) == 1


def test_whoever_stops_the_last_account_is_told(board: MemoryBoard) -> None:
    assert operations.set_state(board, "pause", "o").warnings[0].startswith("no account of openai is left")
    assert operations.set_state(board, "drain", "anthropic/a").warnings[0].startswith("no account of openai")
    assert len(operations.set_state(board, "pause", "anthropic").warnings) == 2


def test_resume_ends_what_was_set_there_and_tells_what_still_holds(board: MemoryBoard) -> None:
    operations.set_state(board, "drain", "anthropic/a")
    operations.set_state(board, "pause", "anthropic")

    report = operations.resume(board, "anthropic/a")
    assert set_flags(board) == {"anthropic": ["paused"]}
    assert report.lines == ("anthropic/a is no longer drained",)
    assert report.warnings == ("anthropic/a is still paused: balancer resume anthropic",)

    operations.set_state(board, "pause", "anthropic/b")
    report = operations.resume(board, "anthropic")
    assert set_flags(board) == {"anthropic/b": ["paused"]}, "what was set on one account stays"
    assert report.warnings == ("anthropic/b is still paused: balancer resume anthropic/b",)
    assert [type for type, _ in board.events].count("operator_resumed") == 2


def test_resume_of_what_runs_says_so_and_of_what_the_file_disables_too(board: MemoryBoard) -> None:
    assert operations.resume(board, "a").lines == ("anthropic/a was not stopped",)
    report = operations.resume(board, "idle")
    assert report.warnings == ("openai/idle is still disabled in the configuration: set enabled: true there",)
    assert board.events == []


def test_clear_tells_whom_it_helped(board: MemoryBoard) -> None:
    board.cooling = {("anthropic/a", ""), ("anthropic/a", "opus"), ("anthropic/b", "opus")}
    assert operations.clear(board, "anthropic", "opus").changed == ("anthropic/a", "anthropic/b")
    assert operations.clear(board, "anthropic").changed == ("anthropic/a",)
    report = operations.clear(board, "anthropic")
    assert report.changed == () and report.lines == ("anthropic had no cooldown and no open breaker",)
    assert len(board.events) == 3


@pytest.mark.parametrize("configured", [True, False])
def test_what_the_configuration_says_anyhow_is_no_override(configured: bool) -> None:
    board = MemoryBoard(Config(balancing=configured))
    operations.switch(board, on=not configured)
    assert board.kept == {"balancing": not configured}
    assert overrides.apply(board.config, board.kept).balancing is not configured
    operations.switch(board, on=configured)
    assert board.kept == {}
    assert len(board.events) == 2
    assert "already" in operations.switch(board, on=configured).lines[0]


def test_use_chooses_one_account_and_leaves_other_providers_alone(board: MemoryBoard) -> None:
    operations.use(board, "o", 1.0)
    operations.use(board, "anthropic/b", 2.0)
    assert board.kept == {
        "active": {"openai": "openai/o", "anthropic": "anthropic/b"},
        "active_at": {"openai": 1.0, "anthropic": 2.0},
    }
    operations.set_state(board, "pause", "a")
    assert operations.use(board, "a", 3.0).warnings == ("anthropic/a is still paused: balancer resume anthropic/a",)
    with pytest.raises(UnknownTargetError, match="is a provider; say which account: anthropic/a, anthropic/b"):
        operations.use(board, "anthropic", 4.0)


@pytest.mark.parametrize(
    "verb",
    [
        lambda board: operations.set_state(board, "pause", "nobody"),
        lambda board: operations.resume(board, "nobody"),
        lambda board: operations.clear(board, "nobody"),
        lambda board: operations.use(board, "nobody", 1.0),
    ],
)
def test_an_unknown_target_changes_nothing(board: MemoryBoard, verb: Callable[[MemoryBoard], Report]) -> None:
    with pytest.raises(UnknownTargetError):
        verb(board)
    assert (board.kept, set_flags(board), board.events) == ({}, {}, [])
