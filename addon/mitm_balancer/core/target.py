"""A target: an account as the router sees it."""

from __future__ import annotations

import fnmatch
import functools
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What the order depends on; made once per configuration, sorted by (`priority`, declaration)."""

    name: str
    provider: str
    models: tuple[str, ...] = ("*",)
    enabled: bool = True
    usable: str = ""
    """Empty, or why the account has no credential to send."""
    priority: int = 0
    """Lower goes first."""
    weight: float = 1.0
    """Above zero."""


def allows(globs: tuple[str, ...], model: str) -> bool:
    """Whether a model passes an account's globs; an unknown model ("") always does."""
    return not model or globs == ("*",) or any(_glob(g).match(model) for g in globs)


@functools.lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))
