"""What the operator's verbs about the order do, to settings in memory; each says what it did or what to type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mitm_balancer.config import Config, MatrixEntry, Pin, parse
from mitm_balancer.operations import Flags, ordering, overrides
from mitm_balancer.operations.ordering import OrderError
from mitm_balancer.operations.targets import UnknownTargetError
from mitm_balancer.ops.events import EventType

TEXT = """\
accounts:
  - {provider: anthropic, alias: a, credential: k}
  - {provider: anthropic, alias: b, credential: k}
  - {provider: anthropic, alias: c, credential: k, priority: 5}
  - {provider: zai, alias: z, credential: k}
priority:
  providers: [{provider: anthropic}, {provider: zai, model: glm}, {provider: kimi, enabled: false}]
  pins: [{model: "opus*", account: anthropic/a}]
"""


@dataclass
class Memory:
    """The least that a `Board` can be."""

    config: Config = field(default_factory=lambda: parse(TEXT, "c"))
    kept: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[EventType, str]] = field(default_factory=list)

    def settings(self) -> Mapping[str, Any]:
        return self.kept

    def flags(self) -> Flags:
        return {}

    def set_setting(self, key: str, value: object) -> None:
        self.kept.pop(key, None)
        if value is not None:
            self.kept[key] = value

    def set_flag(self, name: str, flag: str, on: bool) -> None:
        raise NotImplementedError

    def clear(self, names: Sequence[str], model: str | None) -> list[str]:
        raise NotImplementedError

    def add_event(self, type: EventType, account: str, message: str) -> None:
        self.events.append((type, account))

    @property
    def counts(self) -> Config:
        return overrides.apply(self.config, self.kept)

    @property
    def rows(self) -> list[tuple[str, object, bool]]:
        return [(row.provider, row.model, row.enabled) for row in self.counts.priority.providers]

    def order(self) -> str:
        return "".join(spec.alias for spec in ordering.in_order(self.counts, "anthropic"))


@pytest.mark.parametrize(
    ("name", "where", "order"),
    [
        ("anthropic/c", "up", "acb"),
        ("c", "first", "cab"),
        ("a", "down", "bac"),
        ("a", "last", "bca"),
        ("a", "2", "bac"),
        ("c", "1", "cab"),
        ("b", "99", "acb"),
        ("b", "0", "bac"),
    ],
)
def test_accounts_move_among_those_of_their_provider(name: str, where: str, order: str) -> None:
    board = Memory()
    report = ordering.move(board, name, where)
    assert board.order() == order
    assert report.changed == (overrides.ORDER,)
    assert board.events == [(EventType.OPERATOR_ORDERED, report.target)]


@pytest.mark.parametrize(("name", "where"), [("a", "up"), ("c", "down"), ("a", "first"), ("c", "3"), ("a", "1")])
def test_at_the_ends_nothing_happens(name: str, where: str) -> None:
    board = Memory()
    assert not ordering.move(board, name, where).changed
    assert (board.kept, board.events) == ({}, [])


def test_a_move_keeps_the_order_of_other_providers() -> None:
    board = Memory(kept={"order": {"zai/z": 7}})
    ordering.move(board, "c", "first")
    assert board.kept["order"] == {"zai/z": 7, "anthropic/c": 0, "anthropic/a": 1, "anthropic/b": 2}


def test_what_cannot_be_moved() -> None:
    with pytest.raises(OrderError, match="expected up, down, first, last or a place"):
        ordering.move(Memory(), "a", "sideways")


@pytest.mark.parametrize("where", ["²", "9" * 5000, "-1"], ids=["superscript", "huge", "negative"])
def test_what_is_no_place_is_told(where: str) -> None:
    """`"²".isdigit()` is true, and no number comes of it."""
    with pytest.raises(OrderError, match="expected up, down, first, last or a place"):
        ordering.move(Memory(), "a", where)
    with pytest.raises(UnknownTargetError):
        ordering.move(Memory(), "nobody", "up")
    text = TEXT.partition("\npriority:")[0]
    with pytest.raises(OrderError, match="priority enable zai"):
        ordering.move(Memory(parse(text, "c")), "zai", "up")


def test_a_strategy_of_tiers_is_warned_of() -> None:
    board = Memory(kept={"strategy": "round-robin"})
    assert "only when those before it are out" in ordering.move(board, "c", "first").warnings[0]


def test_providers_move_in_the_matrix() -> None:
    board = Memory()
    ordering.move(board, "zai", "first")
    assert [row[0] for row in board.rows] == ["zai", "anthropic", "kimi"]
    ordering.move(board, "zai", "down")
    assert board.kept == {}, "what the configuration says anyhow is no override"


def test_rows() -> None:
    board = Memory()
    ordering.enable(board, "kimi", "k2")
    ordering.enable(board, "deepseek")
    ordering.disable(board, "anthropic")
    ordering.model(board, "zai", (("*haiku*", "air"), ("*", "glm")))
    assert board.rows == [
        ("anthropic", None, False),
        ("zai", (("*haiku*", "air"), ("*", "glm")), True),
        ("kimi", "k2", True),
        ("deepseek", None, True),
    ]
    assert all(isinstance(row, dict) for row in board.kept["matrix"]), "it goes into the store as JSON"
    assert "has no account" in ordering.enable(Memory(), "kimi").warnings[0]
    ordering.model(board, "zai", None)
    assert ("zai", None, True) in board.rows


def test_a_row_that_is_so_already() -> None:
    board = Memory()
    assert not ordering.enable(board, "anthropic").changed
    assert not ordering.disable(board, "kimi").changed
    assert board.events == []


def test_unknown_providers() -> None:
    with pytest.raises(OrderError, match="no provider is named nobody"):
        ordering.enable(Memory(), "nobody")
    with pytest.raises(OrderError, match="priority enable openai"):
        ordering.model(Memory(), "openai", "x")


def test_strategy_and_across() -> None:
    board = Memory()
    ordering.strategy(board, "drain")
    ordering.across(board, "stay")
    assert (board.counts.priority.strategy, board.counts.priority.across) == ("drain", "stay")
    assert not ordering.strategy(board, "drain").changed
    ordering.strategy(board, "priority")
    ordering.across(board, "return")
    assert board.kept == {}
    for wrong in (ordering.strategy, ordering.across):
        with pytest.raises(OrderError):
            wrong(board, "nonsense")


def test_pins() -> None:
    board = Memory()
    ordering.pin(board, "z", models="haiku*")
    ordering.pin(board, "b", session="s1")
    ordering.pin(board, "c", models="haiku*")
    assert board.counts.priority.pins == (
        Pin("anthropic/c", "haiku*"),
        Pin("anthropic/b", "", "s1"),
        Pin("anthropic/a", "opus*"),
    )
    ordering.unpin(board, models="haiku*")
    ordering.unpin(board, session="s1")
    assert board.kept == {}
    with pytest.raises(OrderError, match="it stands in"):
        ordering.unpin(board, models="opus*")
    with pytest.raises(OrderError, match="is a provider"):
        ordering.pin(board, "anthropic", models="x")
    with pytest.raises(OrderError, match="say what is pinned"):
        ordering.pin(board, "a")


def test_reset() -> None:
    board = Memory(
        kept={"order": {"anthropic/a": 9}, "strategy": "drain", "balancing": False, "pins": [], "active": {}}
    )
    assert ordering.reset(board, ["strategy"]).changed == ("strategy",)
    assert ordering.reset(board).changed == ("accounts", "pins")
    assert board.kept == {"balancing": False, "active": {}}, "on, off and use are other verbs"
    assert not ordering.reset(board).changed
    with pytest.raises(OrderError):
        ordering.reset(board, ["order"])


def test_rows_of_the_file_stay_as_they_are() -> None:
    board = Memory()
    before = board.config.priority.providers
    ordering.enable(board, "kimi")
    assert board.config.priority.providers == before == tuple(dataclasses.replace(row) for row in before)
    assert MatrixEntry("kimi") in board.counts.priority.providers
