"""What an operator changes about the order: accounts, the matrix of providers, the strategy, the pins.

As in `operations`: a verb takes a `Board` and gives a `Report`. What is set here lies over the configuration; setting
what it says anyhow, or `reset`, takes it away again. OrderError says what to type instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from mitm_balancer.config import STRATEGIES, AccountSpec, Config, MatrixEntry, Pin
from mitm_balancer.config.priority import ACROSS as ACROSS_WORDS
from mitm_balancer.core.matrix import Rename
from mitm_balancer.operations import overrides
from mitm_balancer.operations.targets import find
from mitm_balancer.operations.verbs import Board, Report
from mitm_balancer.ops.events import EventType

RESETS = {
    "accounts": overrides.ORDER,
    "providers": overrides.MATRIX,
    "strategy": overrides.STRATEGY,
    "across": overrides.ACROSS,
    "pins": overrides.PINS,
}
"""What `reset` takes -> the setting."""

_TIERED = ("soonest-reset", "headroom", "round-robin", "weighted", "least-loaded")
"""Strategies for which accounts of one number are equals, and those of a higher one reserves."""


LONGEST_PLACE = 10
"""Digits; nobody has so many accounts, and Python makes no number of some thousands."""


class OrderError(Exception):
    """It cannot be done; the text says what can."""


def move(board: Board, name: str, where: str) -> Report:
    """An account among those of its provider, or a provider in the matrix. At the ends nothing happens."""
    config = _counts(board)
    named = find(name, [spec.name for spec in config.accounts])
    if named.is_provider:
        return _move_provider(board, config, named.name, where)
    return _move_account(board, config, named.name, where)


def enable(board: Board, provider: str, model: Rename = None) -> Report:
    """A row of the matrix that counts; a provider in no row gets the last one."""
    row = _row(_counts(board), _provider(board, provider))
    wanted = MatrixEntry(provider, model) if row is None else dataclasses.replace(row, enabled=True)
    if model is not None:
        wanted = dataclasses.replace(wanted, model=model)
    meaning = f"{provider} serves its own clients, and stands in for others of its dialects {_asked(wanted)}"
    return _with_row(board, "enable", wanted, meaning)


def disable(board: Board, provider: str) -> Report:
    """A row that does not count: it serves nobody, not even its own clients."""
    row = _row(_counts(board), _provider(board, provider)) or MatrixEntry(provider)
    meaning = f"{provider} serves nobody: its own clients are served by other rows of the matrix, or by nobody"
    return _with_row(board, "disable", dataclasses.replace(row, enabled=False), meaning)


def model(board: Board, provider: str, asked: Rename) -> Report:
    """What is asked of a provider that stands in; None: the client's model."""
    row = _row(_counts(board), _provider(board, provider))
    if row is None:
        raise OrderError(f"{provider} is in no row of the matrix: balancer priority enable {provider} puts it there")
    wanted = dataclasses.replace(row, model=asked)
    return _with_row(board, "model", wanted, f"{provider} is asked for other providers' clients {_asked(wanted)}")


def strategy(board: Board, name: str) -> Report:
    """Which of the accounts serves."""
    if name not in STRATEGIES:
        raise OrderError(f"there is no strategy {name}; there are: {', '.join(STRATEGIES)}")
    return _simple(board, "strategy", overrides.STRATEGY, name, lambda config: config.priority.strategy)


def across(board: Board, word: str) -> Report:
    """What becomes of a conversation that another provider has served."""
    if word not in ACROSS_WORDS:
        raise OrderError(f"expected one of {', '.join(ACROSS_WORDS)}, not {word}")
    return _simple(board, "across", overrides.ACROSS, word, lambda config: config.priority.across)


def pin(board: Board, account: str, models: str = "", session: str = "") -> Report:
    """Only this account serves these models, or this session."""
    named = find(account, [spec.name for spec in board.config.accounts])
    if named.is_provider:
        raise OrderError(f"{named.name} is a provider: a pin takes one of {', '.join(named.accounts)}")
    if not models and not session:
        raise OrderError("say what is pinned: --model GLOB or --session ID")
    wanted = Pin(named.name, models, session)
    rows = [row for row in _own_pins(board) if (row.model, row.session) != (models, session)]
    _set_pins(board, [wanted, *rows])
    board.add_event(EventType.OPERATOR_PINNED, named.name, f"{_what(wanted)} pinned to it by the operator")
    return Report("pin", (f"only {named.name} serves {_what(wanted)}",), named.name, (overrides.PINS,))


def unpin(board: Board, models: str = "", session: str = "") -> Report:
    """Take back what `pin` did."""
    before = _own_pins(board)
    gone = [row for row in before if (row.model, row.session) == (models, session)]
    if not gone:
        in_file = any((row.model, row.session) == (models, session) for row in board.config.priority.pins)
        where = f": it stands in {board.config.source}" if in_file else ""
        raise OrderError(f"no command has pinned {_what(Pin('', models, session))}{where}")
    _set_pins(board, [row for row in before if row not in gone])
    board.add_event(EventType.OPERATOR_PINNED, gone[0].account, f"{_what(gone[0])} no longer pinned to it")
    return Report("unpin", (f"{_what(gone[0])} may go to every account again",), gone[0].account, (overrides.PINS,))


def reset(board: Board, what: Sequence[str] = ()) -> Report:
    """The configuration counts again."""
    settings = board.settings()
    if unknown := [word for word in what if word not in RESETS]:
        raise OrderError(f"expected {', '.join(RESETS)}, not {unknown[0]}")
    had = [word for word in what or RESETS if RESETS[word] in settings]
    for word in had:
        board.set_setting(RESETS[word], None)
    if not had:
        return Report("reset", ("nothing was set by a command: the configuration counts",))
    board.add_event(EventType.OPERATOR_ORDERED, "", f"back to the configuration: {', '.join(had)}")
    return Report("reset", (f"the configuration counts again: {', '.join(had)}",), changed=tuple(had))


def in_order(config: Config, provider: str) -> list[AccountSpec]:
    """The provider's accounts as the operator has them."""
    return sorted((spec for spec in config.accounts if spec.provider == provider), key=lambda spec: spec.priority)


# -- inside ---------------------------------------------------------------------------------------------------------


def _move_account(board: Board, config: Config, name: str, where: str) -> Report:
    provider = name.partition("/")[0]
    names = [spec.name for spec in in_order(config, provider)]
    moved = _moved(names, name, where)
    if moved == names:
        return Report("move", (f"{name} is there already: {_as_text(names)}",), name)
    given = board.settings().get(overrides.ORDER)
    order = {**(given if isinstance(given, dict) else {}), **{other: number for number, other in enumerate(moved)}}
    board.set_setting(overrides.ORDER, order)
    board.add_event(EventType.OPERATOR_ORDERED, name, f"moved by the operator: {_as_text(moved)}")
    strategy = config.priority.strategy
    warnings = (
        (f"with the strategy {strategy}, an account serves only when those before it are out",)
        if strategy in _TIERED
        else ()
    )
    return Report("move", (f"the order is now: {_as_text(moved)}",), name, (overrides.ORDER,), warnings)


def _move_provider(board: Board, config: Config, provider: str, where: str) -> Report:
    rows = {row.provider: row for row in config.priority.providers}
    if provider not in rows:
        raise OrderError(f"{provider} is in no row of the matrix: balancer priority enable {provider} puts it there")
    moved = _moved(list(rows), provider, where)
    if moved == list(rows):
        return Report("move", (f"{provider} is there already: {_as_text(moved)}",), provider)
    _set_rows(board, [rows[name] for name in moved])
    board.add_event(EventType.OPERATOR_ORDERED, provider, f"moved by the operator: {_as_text(moved)}")
    return Report("move", (f"the order is now: {_as_text(moved)}",), provider, (overrides.MATRIX,))


def _moved(names: list[str], name: str, where: str) -> list[str]:
    """`up`, `down`, `first`, `last`, or a place from 1; beyond the ends is at the ends."""
    at = names.index(name)
    steps = {"up": at - 1, "down": at + 1, "first": 0, "last": len(names) - 1}
    number = int(where) - 1 if where.isdecimal() and len(where) < LONGEST_PLACE else None
    place = steps.get(where, number)
    if place is None:
        raise OrderError(f"expected up, down, first, last or a place from 1, not {where}")
    rest = [other for other in names if other != name]
    place = max(0, min(place, len(rest)))
    return [*rest[:place], name, *rest[place:]]


def _with_row(board: Board, verb: str, wanted: MatrixEntry, meaning: str) -> Report:
    rows = list(_counts(board).priority.providers)
    if wanted in rows:
        return Report(verb, (f"so it is already: {meaning}",), wanted.provider)
    places = [n for n, row in enumerate(rows) if row.provider == wanted.provider]
    if places:
        rows[places[0]] = wanted
    else:
        rows.append(wanted)
    _set_rows(board, rows)
    board.add_event(EventType.OPERATOR_ORDERED, wanted.provider, f"{verb} in the matrix by the operator")
    return Report(verb, (meaning,), wanted.provider, (overrides.MATRIX,), _no_account(board, wanted))


def _no_account(board: Board, row: MatrixEntry) -> tuple[str, ...]:
    if not row.enabled or any(spec.provider == row.provider for spec in board.config.accounts):
        return ()
    return (f"{row.provider} has no account: balancer accounts add {row.provider}",)


def _simple(board: Board, verb: str, key: str, value: str, read: Callable[[Config], str]) -> Report:
    before = read(_counts(board))
    # What the configuration says anyhow is no override: its next change shall count.
    board.set_setting(key, None if read(board.config) == value else value)
    if before == value:
        return Report(verb, (f"{verb} is {value} already",))
    board.add_event(EventType.OPERATOR_ORDERED, "", f"{verb} set to {value} by the operator (it was {before})")
    return Report(verb, (f"{verb} is {value} (it was {before})",), changed=(key,))


def _set_rows(board: Board, rows: Sequence[MatrixEntry]) -> None:
    stored = [{"provider": row.provider, "model": _stored(row.model), "enabled": row.enabled} for row in rows]
    board.set_setting(overrides.MATRIX, None if tuple(rows) == board.config.priority.providers else stored)


def _stored(asked: Rename) -> object:
    return dict(asked) if isinstance(asked, tuple) else asked


def _own_pins(board: Board) -> list[Pin]:
    return list(overrides.pins(board.settings().get(overrides.PINS)))


def _set_pins(board: Board, pins: Sequence[Pin]) -> None:
    board.set_setting(overrides.PINS, [dataclasses.asdict(row) for row in pins] or None)


def _counts(board: Board) -> Config:
    return overrides.apply(board.config, board.settings())


def _provider(board: Board, name: str) -> str:
    known = {provider.name for provider in board.config.all_providers()}
    if name not in known:
        raise OrderError(f"no provider is named {name}; there are: {', '.join(sorted(known))}")
    return name


def _row(config: Config, provider: str) -> MatrixEntry | None:
    return next((row for row in config.priority.providers if row.provider == provider), None)


def _asked(row: MatrixEntry) -> str:
    return f"with {as_text(row.model)}"


def as_text(asked: Rename) -> str:
    """The model of a row, for people."""
    if isinstance(asked, tuple):
        return ", ".join(f"{name} for {glob}" for glob, name in asked)
    return "the client's model" if asked is None else asked


def _what(row: Pin) -> str:
    return f"the session {row.session}" if row.session else f"models {row.model}"


def _as_text(names: Sequence[str]) -> str:
    return ", ".join(names)
