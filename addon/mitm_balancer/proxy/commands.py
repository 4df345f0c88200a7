"""mitmproxy's commands: the operator's verbs in its console, mitmweb's command bar, key bindings and scripts.

They do what the CLI's verbs do, by the same operations, at once and in memory; the store keeps it. Each gives lines for
people; a mistake is a CommandError. Nothing here waits for a disk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import mitmproxy.types
from mitmproxy import exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.log import ALERT

from mitm_balancer import operations
from mitm_balancer.ops.story import story
from mitm_balancer.proxy import standing
from mitm_balancer.proxy.hand import Hand, Operated, tried
from mitm_balancer.proxy.target_type import Target
from mitm_balancer.proxy.tasks import spawn

logger = logging.getLogger(__name__)


class Commands:
    """But for those of the order, which are in `priority_commands`."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    def register(self, loader: Loader) -> None:
        """Make all of them known."""
        commands: dict[str, Callable[..., object]] = {
            "accounts.list": self.accounts_list,
            "status": self.status,
            "pause": self.pause,
            "resume": self.resume,
            "drain": self.drain,
            "disable": self.disable,
            "clear": self.clear,
            "inspect": self.inspect,
            "use": self.use,
            "on": self.on,
            "off": self.off,
            "reload": self.reload,
            "why": self.why,
        }
        for name, command in commands.items():
            loader.add_command(f"balancer.{name}", command)

    # -- to look ------------------------------------------------------------------------------------------------

    def accounts_list(self) -> mitmproxy.types.Data:
        """All accounts: name, state, whether new work goes there, running requests, and why it does not serve."""
        operated = self._hand.operated()
        rows = [
            [s.name, s.state, "active" if s.active else "", f"{s.in_flight} running", s.why]
            for s in standing.all_of(operated.runtime, operated.operator)
        ]
        return rows or [["no accounts: everything passes through untouched"]]  # type: ignore[return-value]

    def status(self) -> Sequence[str]:
        """Everything at one look: balancing, strategy, what runs and waits, and each account."""
        operated = self._hand.operated()
        return standing.page(operated.runtime, operated.operator, operated.problems)

    def inspect(self, target: Target) -> Sequence[str]:
        """All that is known about an account, or about those of a provider."""
        operated = self._hand.operated()
        return tried(
            lambda: standing.inspect(operated.runtime, operated.operator, operated.activity, target, time.time())
        )

    def why(self, request: str = "last") -> Sequence[str]:
        """Which accounts a request went to, and why: its id (from x-balancer), its flow's id, or last."""
        record = self._hand.operated().activity.record(request)
        if record is None:
            raise exceptions.CommandError(
                f"{request} is not among the newest requests; a shell knows more: balancer why"
            )
        return story(record)

    # -- to change ----------------------------------------------------------------------------------------------

    def pause(self, target: Target) -> Sequence[str]:
        """Give an account or a provider no new work, until it is resumed."""
        return self._hand.done(lambda board: operations.set_state(board, "pause", target))

    def resume(self, target: Target) -> Sequence[str]:
        """End a pause, a drain or a disable."""
        return self._hand.done(lambda board: operations.resume(board, target))

    def drain(self, target: Target) -> Sequence[str]:
        """Let what runs on an account finish and its sessions go on; nothing new begins there."""
        return self._hand.done(lambda board: operations.set_state(board, "drain", target))

    def disable(self, target: Target) -> Sequence[str]:
        """Switch an account or a provider off, until it is resumed."""
        return self._hand.done(lambda board: operations.set_state(board, "disable", target))

    def clear(self, target: Target, model: str = "") -> Sequence[str]:
        """Forget an account's cooldowns and breaker, or its cooldown for one model: it is tried again now."""
        return self._hand.done(lambda board: operations.clear(board, target, model or None))

    def use(self, target: Target) -> Sequence[str]:
        """New work of its provider goes to this account; sessions stay where they are."""
        return self._hand.done(lambda board: operations.use(board, target, time.time()))

    def on(self) -> Sequence[str]:
        """Switch balancing on."""
        return self._hand.done(lambda board: operations.switch(board, on=True))

    def off(self) -> Sequence[str]:
        """Switch balancing off: the active account serves, without failover."""
        return self._hand.done(lambda board: operations.switch(board, on=False))

    def reload(self) -> Sequence[str]:
        """Read the configuration again. What it found is told in the log: reading takes longer than a command may."""
        spawn(self._reload(self._hand.operated()), "balancer reload")
        return ["the configuration is being read: the log tells what it holds"]

    # -- inside -------------------------------------------------------------------------------------------------

    async def _reload(self, operated: Operated) -> None:
        problems = await operated.operator.reload()
        if problems:
            # Each one is in the log already; ALERT is what the console shows in its status bar.
            logger.log(ALERT, "mitm-balancer: the configuration has %d mistakes, the running one stays", len(problems))
        else:
            logger.log(ALERT, "mitm-balancer: configuration read")
