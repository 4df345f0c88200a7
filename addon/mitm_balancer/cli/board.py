"""What the operator's verbs of the CLI share: they change the store, and wait until a running proxy has obeyed.

The store is the bus: without a proxy the change is made all the same, and the next one begins with it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mitm_balancer.cli.bus import Proxy, seen
from mitm_balancer.cli.output import CliError, complain, print_json
from mitm_balancer.cli.places import existing_home
from mitm_balancer.cli.roster_view import known_config
from mitm_balancer.config import Config
from mitm_balancer.operations import Flags, Report
from mitm_balancer.operations.targets import UnknownTargetError
from mitm_balancer.ops.events import EventType
from mitm_balancer.store import Store, StoreError, remaining
from mitm_balancer.store.asks import ask, replied

WAIT = 5.0
"""Seconds that a proxy has to confirm: it looks twice a second, and may be in the middle of something."""

LOOK_EVERY = 0.02


class StoreBoard:
    """The `operations.Board` of the CLI. Each change is on disk when its method returns."""

    def __init__(
        self, store: Store, config: Config, tell: Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        self.store, self._config, self._tell = store, config, tell

    @property
    def config(self) -> Config:
        return self._config

    def settings(self) -> Mapping[str, Any]:
        return self.store.settings()

    def flags(self) -> Flags:
        return self.store.account_flags()

    def set_setting(self, key: str, value: object) -> None:
        self._certainly(self.store.set_setting(key, value).result())

    def set_flag(self, name: str, flag: str, on: bool) -> None:
        self._certainly(self.store.set_account_flag(name, flag, on).result())

    def clear(self, names: Sequence[str], model: str | None) -> list[str]:
        now = time.time()
        had = {c.name for c in self.store.cooldowns() if remaining(c, now) > 0 and model in (None, c.model)}
        for name in names:
            self._certainly(self.store.clear_cooldown(name, model).result())
        # Breakers are in the proxy's memory only.
        cleared = self._tell("clear", {"names": list(names), "model": model}).get("cleared") or ()
        return [name for name in names if name in had or name in cleared]

    def add_event(self, type: EventType, account: str, message: str) -> None:
        self.store.add_event(type, account, message)

    def _certainly(self, stored: bool) -> None:
        if not stored:
            raise CliError(f"nothing is changed: the store cannot be written: {self.store.healthy}")


class Line:
    """To the running proxy, through the store."""

    def __init__(self, store: Store, home: Path) -> None:
        self._store = store
        self.proxy: Proxy | None = seen(home, store)
        self.silent = False
        """It runs, and has not answered in time."""

    def tell(self, verb: str, args: Mapping[str, Any], wait: float = WAIT) -> Mapping[str, Any]:
        """Ask and wait for the answer, seconds; empty without a proxy, or when it does not answer."""
        if self.proxy is None:
            return {}
        number = ask(self._store, verb, args)
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if (answer := replied(self._store, number)) is not None:
                return answer
            time.sleep(LOOK_EVERY)
        self.silent = True
        return {}

    @property
    def word(self) -> str:
        """For programs: `obeyed`, `none` (no proxy runs) or `silent`."""
        return "none" if self.proxy is None else "silent" if self.silent else "obeyed"

    @property
    def told(self) -> str:
        """For people."""
        if self.proxy is None:
            return "no proxy runs: the next one begins with it"
        if self.silent:
            return f"stored, but the proxy (pid {self.proxy.pid}) has not confirmed it within {WAIT:g} s"
        return f"the proxy (pid {self.proxy.pid}) obeys"


def operate(args: argparse.Namespace, operation: Callable[[StoreBoard], Report]) -> int:
    """Run one operation on the store, wait for the proxy, print; the exit code. Makes the home if need be."""
    home = existing_home(args)
    try:
        store = Store.open(home)
    except StoreError as e:
        raise CliError(str(e)) from e
    try:
        line = Line(store, home)
        try:
            report = operation(StoreBoard(store, known_config(args, home, store), line.tell))
        except UnknownTargetError as e:
            raise CliError(str(e)) from e
        line.tell("obey", {})
    except StoreError as e:
        raise CliError(str(e)) from e
    finally:
        store.close()
    show(args, report, line)
    return 1 if line.silent else 0


def show(args: argparse.Namespace, report: Report, line: Line) -> None:
    """The report, and whether the proxy obeys."""
    if args.json:
        print_json(report.as_json() | {"proxy": line.word})
        return
    for text in (*report.lines, *((line.told,) if not line.silent else ())):
        print(text)
    for text in (*report.warnings, *((line.told,) if line.silent else ())):
        complain(text)


def target_arguments(parser: argparse.ArgumentParser) -> None:
    """TARGET and --json."""
    parser.add_argument("target", metavar="TARGET", help="an account (provider/alias, or its alias) or a provider")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
