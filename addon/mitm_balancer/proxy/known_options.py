"""Which options an addon of mitmproxy defines, found out without running it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class _Recorder:
    """Stands in for mitmproxy's Loader: keeps the names, does nothing."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def add_option(self, name: str, *_: Any, **__: Any) -> None:
        self.names.add(name)

    def add_command(self, *_: Any, **__: Any) -> None: ...


def declared(addon: object) -> set[str]:
    """The names of the options that the addon's `load` defines."""
    load = getattr(addon, "load", None)
    if load is None:
        return set()
    recorder = _Recorder()
    load(recorder)
    return recorder.names


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or nothing when nothing is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
