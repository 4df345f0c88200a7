"""How the CLI speaks: JSON or text, errors on stderr, tables that fit a terminal of 80 columns."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WIDTH = 80
"""Columns that every table fits, whatever the terminal."""

NARROWEST = 20
"""Columns that the last one gets at least."""


class CliError(Exception):
    """Ends the program with one clear line. `code`: 1 refused or failed, 2 usage."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def complain(message: str) -> None:
    """One line on stderr."""
    print(f"balancer: {message}", file=sys.stderr)


def print_json(data: Any) -> None:
    """For programs: one JSON document on stdout."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def print_error_json(message: str) -> None:
    """For programs: why there is nothing else on stdout. One line, which also fits output of an object per line."""
    print(json.dumps({"error": message}, ensure_ascii=False))


def table(rows: Sequence[Sequence[str]], width: int = WIDTH) -> list[str]:
    """Lines with aligned columns. The last column is wrapped below itself, so that no line is longer than `width`."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    left = sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        start = "".join(cell.ljust(w + 2) for cell, w in zip(row, widths, strict=False))
        first, *more = textwrap.wrap(row[-1], max(width - left, NARROWEST)) or [""]
        lines += [(start + first).rstrip(), *(" " * left + part for part in more)]
    return lines


def coloured(text: str, code: int) -> str:
    """The text in an ANSI colour, on a terminal that wants one (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def own_command() -> str:
    """How the user can call this program again from here."""
    found = shutil.which("balancer")
    called = Path(sys.argv[0])
    if found is not None and (called.name != "balancer" or Path(found).samefile(called)):
        return "balancer"
    if called.name != "balancer":
        return f"{shlex.quote(sys.executable)} -m mitm_balancer.cli"
    here = Path.cwd()
    path = called.absolute()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
