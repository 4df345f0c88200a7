"""What is wrong with a configuration: every mistake at once, each with its file, line and field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One mistake. `line` counts from 1; 0 means the file as a whole. `message` says what was expected."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class ConfigErrors(Exception):  # noqa: N818 - it holds many
    """Raised once per file, with all of its mistakes in the order of their lines. Never holds a credential."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = sorted(errors, key=lambda error: (error.line, error.field, error.message))
        super().__init__("\n".join(map(str, self.errors)))
