"""A script as JSON, for a fake provider that runs as a process of its own.

    {"labels": {"KEY-A": "a", "KEY-B": "b"},
     "script": {"a": [{"step": "rate_limited", "retry_after": 3}, "ok"]},
     "default": {"b": "overloaded"},
     "accept": ["rst"]}

A step is the name of a function in `steps`, alone or with its keywords; `raw` takes `"parts"`, latin-1 text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mitm_balancer.testing import steps
from mitm_balancer.testing.fakeprovider import AcceptFault, FakeProvider
from mitm_balancer.testing.step import Step

STEPS: dict[str, Callable[..., Step]] = {
    name: function
    for name, function in inspect.getmembers(steps, inspect.isfunction)
    if not name.startswith("_") and function.__module__ == steps.__name__
}
_KEYS = frozenset({"labels", "script", "default", "accept"})


def step_from(spec: str | Mapping[str, Any]) -> Step:
    """One step; raises ValueError that names what is wrong with it."""
    fields: dict[str, Any] = {"step": spec} if isinstance(spec, str) else dict(spec)
    name = fields.pop("step", None)
    if name not in STEPS:
        raise ValueError(f"no step is named {name!r}; there are: {', '.join(sorted(STEPS))}")
    parts = [part.encode("latin-1") for part in fields.pop("parts", ())]
    codes = fields.pop("codes", ())
    for key in ("headers", "trailers"):
        if key in fields:
            fields[key] = tuple((header, value) for header, value in fields[key])
    try:
        return STEPS[name](*parts, *codes, **fields)
    except TypeError as error:
        raise ValueError(f"step {name!r}: {error}") from error


def load(script: Mapping[str, Any], **options: Any) -> FakeProvider:
    """A provider that plays this script; `options` go to its constructor. Raises ValueError."""
    if unknown := set(script) - _KEYS:
        raise ValueError(f"unknown keys {sorted(unknown)}; there are: {sorted(_KEYS)}")
    provider = FakeProvider(script.get("labels", {}), **options)
    for label, queue in script.get("script", {}).items():
        provider.play(label, *_all(queue))
    for label, spec in script.get("default", {}).items():
        provider.play(label, then=step_from(spec))
    provider.on_accept(*(AcceptFault(fault) for fault in script.get("accept", ())))
    return provider


def _all(queue: list[Any]) -> Iterator[Step]:
    return (step_from(spec) for spec in queue)
