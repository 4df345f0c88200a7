"""YAML values that know their line and their field, so that every mistake can be told with its place.

PyYAML's node graph is read instead of its Python objects: only nodes have lines, and only nodes show duplicate keys.
A mistake is recorded in the `Report` and reading goes on, so that one run tells all of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import yaml

from mitm_balancer.config.errors import ConfigError

LONGEST_SHOWN = 24
"""Longer texts are described, not quoted: the shortest provider credentials have more than 30 characters."""


class BadValueError(ValueError):
    """A value is not what its field expects; the text completes the error message."""


@dataclass(slots=True)
class Report:
    """Collects the mistakes of one file."""

    file: str
    errors: list[ConfigError] = field(default_factory=list)

    def add(self, line: int, where: str, message: str) -> None:
        self.errors.append(ConfigError(self.file, line, where, message))


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the document."""

    node: yaml.Node = field(repr=False)
    where: str
    report: Report = field(repr=False)

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    @property
    def is_null(self) -> bool:
        return self.node.tag == "tag:yaml.org,2002:null"

    @property
    def is_table(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    def bad(self, message: str) -> None:
        """Record a mistake at this value."""
        self.report.add(self.line, self.where, message)

    def take[T](self, check: Callable[[Value], T]) -> T | None:
        """What `check` makes of the value; None after a recorded mistake."""
        try:
            return check(self)
        except BadValueError as bad:
            self.bad(str(bad))
            return None

    def scalar(self) -> object:
        """The Python value of a plain YAML scalar; raises BadValueError for anything else."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise BadValueError(f"expected a single value, got {self.shown()}")
        try:
            return yaml.constructor.SafeConstructor().construct_object(self.node)
        except (yaml.YAMLError, ValueError):
            raise BadValueError("this YAML tag or value is not understood") from None

    def items(self) -> list[Value]:
        """The entries of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise BadValueError(f"expected a list, got {self.shown()}")
        return [Value(node, f"{self.where}[{index}]", self.report) for index, node in enumerate(self.node.value)]

    def table(self, keys: Iterable[str] | None = None) -> Table:
        """The entries of a mapping; unknown keys (outside `keys`) and duplicates are recorded."""
        if not isinstance(self.node, yaml.MappingNode):
            raise BadValueError(f"expected a mapping (key: value), got {self.shown()}")
        known = None if keys is None else tuple(keys)
        entries: dict[str, Value] = {}
        for key_node, node in self.node.value:
            spelt = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            key = Value(key_node, f"{self.where}.{_short(spelt)}".lstrip("."), self.report)
            if known is not None and spelt not in known:
                key.bad(f"unknown key{key.suggest(known) or _offer(known)}")
            elif spelt in entries:
                key.bad(f"this key occurs twice, first in line {entries[spelt].line}")
            else:
                entries[spelt] = Value(node, key.where, self.report)
        return Table(self, entries)

    def shown(self) -> str:
        """The value as an error message may show it."""
        if isinstance(self.node, yaml.MappingNode):
            return "a mapping"
        if isinstance(self.node, yaml.SequenceNode):
            return f"a list of {len(self.node.value)}"
        if self.is_null:
            return "nothing"
        found = _short(str(self.node.value))
        return f'"{found}"' if self.node.tag == "tag:yaml.org,2002:str" else found

    def suggest(self, words: Iterable[str]) -> str:
        """A "did you mean" for a misspelt word, or nothing."""
        close = difflib.get_close_matches(str(self.node.value), list(words), n=1)
        return f" (did you mean {close[0]}?)" if close else ""


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with its keys checked."""

    value: Value
    entries: dict[str, Value]

    def get[T, D](self, key: str, check: Callable[[Value], T], default: D) -> T | D:
        """The checked value, or the default where the key is missing (or its value is bad, which is recorded)."""
        entry = self.entries.get(key)
        if entry is None:
            return default
        found = entry.take(check)
        return default if found is None else found

    def need[T](self, key: str, check: Callable[[Value], T], expected: str) -> T | None:
        """The checked value; a missing key is a mistake, and `expected` says what belongs there."""
        if key not in self.entries:
            self.value.bad(f"{key} is missing: expected {expected}")
            return None
        return self.entries[key].take(check)


def _short(found: str) -> str:
    """What may be quoted back: printable, and no credential by its length or look."""
    if len(found) > LONGEST_SHOWN or found.startswith("sk-"):
        return f"({len(found)} characters)"
    return found if found.isprintable() else ascii(found)[1:-1]


def _offer(known: tuple[str, ...]) -> str:
    return f" (known: {', '.join(known)})"
