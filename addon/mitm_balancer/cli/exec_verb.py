"""`balancer exec -- CMD`: run an agent with proxy and CA set; its exit code is ours."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from mitm_balancer.cli import background, lifetime, run_pins
from mitm_balancer.cli.bus import Proxy, running
from mitm_balancer.cli.cabundle import write_bundle
from mitm_balancer.cli.clientenv import variables
from mitm_balancer.cli.hints import hint
from mitm_balancer.cli.output import CliError, complain
from mitm_balancer.cli.places import config_of, existing_home, same_places
from mitm_balancer.cli.proxyauth import asks_for_password

NOT_FOUND, NOT_RUNNABLE = 127, 126
"""What a shell returns for these."""

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "balancer exec [options] -- CMD [ARG ...]"
    parser.add_argument(
        "-p",
        "--listen-port",
        type=int,
        default=0,
        metavar="PORT",
        help="port of a proxy that must be started (any free)",
    )
    parser.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="NAME",
        help="only this account serves the run (provider/alias); again for another provider",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD", help="the agent, with its arguments")


def main(args: argparse.Namespace) -> int:
    command: list[str] = args.command
    if not command:
        raise CliError("say what to run: balancer exec -- claude", 2)
    program = shutil.which(command[0])
    if program is None:
        return _cannot_run(command[0])
    home = existing_home(args)
    pins = run_pins.checked(args, home)
    with lifetime.held(home / lifetime.USERS, shared=True):
        proxy = run_pins.pinned(_proxy(args, home), pins, home)
        if unreachable := asks_for_password(proxy, home):
            raise CliError(unreachable)  # every request of the agent would end with 407
        try:
            bundle = write_bundle(home, proxy.ca, os.environ)
        except OSError as e:
            raise CliError(f"cannot write the CA file for the agent: {e}") from e
        environ = {**os.environ, **variables(proxy.url, proxy.ca, bundle, os.environ)}
        if advice := hint(Path(command[0]).name, environ, Path.home()):
            complain(advice)
        return _run(program, command, environ)


def _proxy(args: argparse.Namespace, home: Path) -> Proxy:
    """The one that runs, or a new one; never two because two agents were started at once."""
    with lifetime.held(home / lifetime.START, shared=False):
        if proxy := running(home):
            return proxy
        config_of(args, home)  # its mistakes are told better from here than from a log
        return background.start(home, same_places(args), args.listen_port, home / lifetime.USERS)


def _cannot_run(name: str) -> int:
    if Path(name).is_file():
        complain(f"{name}: not executable")
        return NOT_RUNNABLE
    complain(f"{name}: command not found")
    return NOT_FOUND


def _run(program: str, command: list[str], environ: dict[str, str]) -> int:
    """Run it to its end. A process that a signal ended gives 128 + its number, as in a shell."""
    passing = _Passing()
    try:
        process = subprocess.Popen(command, executable=program, env=environ)
    except OSError as e:
        complain(f"{program}: {e.strerror}")
        return NOT_RUNNABLE
    passing.to(process)
    code = process.wait()
    return code if code >= 0 else 128 - code


class _Passing:
    """Passes our signals on to the agent; those that come before it is there wait for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)

    def to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        # The terminal gives Ctrl-C and Ctrl-backslash to the whole foreground group: the agent has it already.
        elif not (number in (signal.SIGINT, signal.SIGQUIT) and _in_foreground()):
            self._process.send_signal(number)


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.__stdin__.fileno() if sys.__stdin__ else 0) == os.getpgrp()
    except (OSError, ValueError):
        return False
