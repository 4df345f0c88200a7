"""Export lines in the language of a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

SHELLS = ("sh", "fish", "powershell")


def lines(wanted: Mapping[str, str], shell: str) -> list[str]:
    """One line per variable, quoted so that it means exactly its value."""
    match shell:
        case "fish":
            return [f"set -gx {name} {_fish(value)};" for name, value in wanted.items()]
        case "powershell":
            return [f"$env:{name} = '{value.replace("'", "''")}'" for name, value in wanted.items()]
        case _:
            return [f"export {name}={shlex.quote(value)}" for name, value in wanted.items()]


def guess() -> str:
    """The shell of this user, as far as the environment tells."""
    if os.name == "nt":
        return "powershell"
    return "fish" if Path(os.environ.get("SHELL", "")).name == "fish" else "sh"


def _fish(value: str) -> str:
    """fish knows two escapes inside single quotes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
