"""mitmproxy's HTTP hooks for our streams, called only where somebody listens.

mitmproxy asks each of its forty addons for each hook of each flow, twice (the hook, then `update`), and sends the
answer back through all layers: more than half of the CPU of a small request. A call runs beside the layers, so it can
ask those that listen, in the same order and by the same rules (errors are told, AddonHalt ends the round, an
intercepted flow waits), and go on by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mitmproxy import exceptions, flow, http
from mitmproxy.addonmanager import AddonManager, safecall, traverse

type Listener = Callable[[Any], Any]


class Hooks:
    """The hooks of one mitmproxy master."""

    def __init__(self, manager: AddonManager) -> None:
        self._manager = manager
        self._listeners: dict[str, list[Listener]] = {}
        self._known: tuple[int, ...] = ()

    async def run(self, name: str, target: http.HTTPFlow) -> bool:
        """Run the hook, then `update`, then wait if somebody intercepted it. Tells whether the flow still lives."""
        self._refresh()
        await self._call(name, target)
        await self._call("update", [target])
        await target.wait_for_resume()
        return not is_killed(target)

    async def _call(self, name: str, argument: object) -> None:
        for listener in self._listening(name):
            try:
                with safecall():
                    result = listener(argument)
                    if result is not None and inspect.isawaitable(result):
                        await result
            except exceptions.AddonHalt:
                return

    def _listening(self, name: str) -> list[Listener]:
        found = self._listeners.get(name)
        if found is None:
            functions = (getattr(addon, name, None) for addon in traverse(self._manager.chain))
            found = self._listeners[name] = [f for f in functions if callable(f)]
        return found

    def _refresh(self) -> None:
        """Addons come and go (a script is reloaded): who listens is looked up again when they have."""
        known = tuple(map(id, self._manager.lookup.values()))
        if known != self._known:
            self._known = known
            self._listeners.clear()


def is_killed(target: http.HTTPFlow) -> bool:
    """Whether a person or an addon has killed the flow."""
    return target.error is not None and target.error.msg == flow.Error.KILLED_MESSAGE
