"""`priority:` of the configuration: the strategy, the matrix of providers, and the pins."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from mitm_balancer.config.accounts import known_provider
from mitm_balancer.config.checks import NAME, boolean, number, one_of, text
from mitm_balancer.config.model import STRATEGIES, MatrixEntry, Pin, Priority
from mitm_balancer.config.nodes import BadValueError, Value
from mitm_balancer.core.matrix import Across, Rename
from mitm_balancer.providers.model import Provider

ACROSS: tuple[Across, ...] = ("return", "stay", "strict")


def read_priority(value: Value, known: Mapping[str, Provider]) -> Priority:
    """`known` are the providers that may be named."""
    table = value.table(("strategy", "across", "providers", "pins", "leave_at"))
    rows: list[MatrixEntry] = []
    for entry, row in _each(table.entries.get("providers"), functools.partial(_row, known=known)):
        if row.provider in {other.provider for other in rows}:
            entry.bad("this provider stands in the list twice")
        rows.append(row)
    return Priority(
        strategy=table.get("strategy", one_of(*STRATEGIES), "priority"),
        across=table.get("across", _across, "return"),
        providers=tuple(rows),
        leave_at=table.get("leave_at", _leave_at, Priority().leave_at),
        pins=tuple(pin for _, pin in _each(table.entries.get("pins"), _pin)),
    )


def _each[T](value: Value | None, read: Callable[[Value], T | None]) -> list[tuple[Value, T]]:
    """The sound entries of a list that may be missing or empty."""
    entries = None if value is None or value.is_null else value.take(Value.items)
    return [(entry, found) for entry in entries or () if (found := entry.take(read)) is not None]


def _leave_at(value: Value) -> float:
    return 0.0 if value.is_null else number(0, 100)(value)


def _across(value: Value) -> Across:
    word = one_of(*ACROSS)(value)
    return next(known for known in ACROSS if known == word)


def _row(value: Value, known: Mapping[str, Provider]) -> MatrixEntry | None:
    table = value.table(("provider", "model", "enabled"))
    provider = table.need("provider", lambda entry: known_provider(entry, known), "the name of a provider")
    model: Rename = table.get("model", _model, None)
    enabled = table.get("enabled", boolean, True)
    return None if provider is None else MatrixEntry(provider, model, enabled)


def _model(value: Value) -> Rename:
    if value.is_null:
        return None
    if not value.is_table:
        return text(value)
    pairs = [(glob, entry.take(text)) for glob, entry in value.table().entries.items()]
    if not pairs:
        raise BadValueError("expected a model, null, or {GLOB: MODEL, ...}")
    return tuple((glob, name) for glob, name in pairs if name is not None)


def _pin(value: Value) -> Pin | None:
    table = value.table(("account", "model", "session"))
    account = table.need("account", account_name, "an account, as provider/alias")
    model = table.get("model", text, "")
    session = table.get("session", text, "")
    if account is not None and not model and not session:
        value.bad("expected model: GLOB or session: ID: what is tied to this account")
    return None if account is None else Pin(account, model, session)


def account_name(value: Value) -> str:
    """A check for provider/alias; whether there is such an account is known later, for the store has some."""
    found = text(value)
    provider, slash, alias = found.partition("/")
    if not slash or not NAME.fullmatch(provider) or not NAME.fullmatch(alias):
        raise BadValueError(f"expected an account as provider/alias, got {value.shown()}")
    return found
