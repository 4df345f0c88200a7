"""`balancer run`: the proxy, lean or with mitmproxy's web interface."""

from __future__ import annotations

import argparse
import errno
import json
import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mitm_balancer.cli import lifetime
from mitm_balancer.cli.bus import ANY_HOST, Proxy, leave_note, opened, running
from mitm_balancer.cli.cabundle import CA_NAME
from mitm_balancer.cli.greeting import greeting
from mitm_balancer.cli.output import CliError
from mitm_balancer.cli.places import config_of, existing_home, expected_config, same_places
from mitm_balancer.cli.roster_view import known_config
from mitm_balancer.config import Config

HOST, PORT = "127.0.0.1", 8080
"""mitmproxy's port; only this machine, other than mitmdump."""

CA_KEY = "mitmproxy-ca.pem"
"""mitmproxy's own name for the CA with its key: once it is there, nothing has to be written."""

CA_BYTES = 16_384
"""More than all the files of mitmproxy's CA."""


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-p", "--listen-port", type=int, default=PORT, metavar="PORT", help=f"default {PORT}; 0: any free one")
    add("--listen-host", default=HOST, metavar="HOST", help=f"default {HOST}")
    add("-m", "--mode", action="append", default=[], metavar="MODE", help="mitmproxy's proxy mode, e.g. upstream:URL")
    add("-s", "--scripts", action="append", default=[], metavar="SCRIPT", help="run a mitmproxy script too")
    add("--set", action="append", default=[], metavar="OPTION=VALUE", help="set an option of mitmproxy")
    add("--web", action="store_true", help="with mitmproxy's web interface")
    add("-q", "--quiet", action="store_true", help="say errors only")
    add("-v", "--verbose", action="store_true", help="say everything")
    # For `exec`: where to tell, in JSON, that the proxy listens, and the file by which it sees that nobody is left.
    add("--ready-fd", type=int, help=argparse.SUPPRESS)
    add("--while-locked", type=Path, help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> int:
    _places_from_options(args)
    home = existing_home(args)
    _refuse_home_without_room(home)
    config = config_of(args, home)
    everybody = _with_stored(args, home, config)
    if not args.mode:
        _refuse_taken_port(args.listen_host, args.listen_port, home)

    # Both are slow to import, and the checks above answer first.
    from mitm_balancer.app import addon  # noqa: PLC0415
    from mitm_balancer.proxy.lean import LeanError, LeanOptions, run  # noqa: PLC0415

    options = LeanOptions(
        home=home,
        config=args.config,
        listen_host=args.listen_host,
        listen_port=args.listen_port,
        mode=tuple(args.mode),
        scripts=tuple(args.scripts),
        sets=tuple(args.set),
        quiet=args.quiet,
        verbose=args.verbose,
        web=args.web,
    )
    if args.while_locked is not None:
        lifetime.end_when_unused(args.while_locked)
    try:
        return run(options, addon(), lambda addresses: _ready(args, home, everybody, addresses))
    except LeanError as e:
        raise CliError(str(e), 2 if e.usage else 1) from e


def _places_from_options(args: argparse.Namespace) -> None:
    """`--set balancer_home=X` is `--home X`: one home for the state and the CA."""
    for spec in list(args.set):
        name, _, value = spec.partition("=")
        if name in ("balancer_home", "balancer_config"):
            args.set.remove(spec)
            setattr(args, name.removeprefix("balancer_"), value)


def _ready(args: argparse.Namespace, home: Path, config: Config, addresses: Sequence[tuple[str, int]]) -> None:
    host, port = addresses[0] if addresses else (args.listen_host, args.listen_port)
    proxy = Proxy(os.getpid(), ANY_HOST.get(host, host), port, home / CA_NAME)
    leave_note(proxy, home)
    if not args.quiet:
        lines = greeting(proxy.url, home, config, expected_config(args, home), same_places(args))
        print("\n".join(lines), flush=True)
    if args.ready_fd is not None:
        with os.fdopen(args.ready_fd, "w") as pipe:
            json.dump({"pid": proxy.pid, "host": proxy.host, "port": proxy.port}, pipe)


def _with_stored(args: argparse.Namespace, home: Path, config: Config) -> Config:
    """For the greeting. A store that cannot be opened is the proxy's to tell of: it runs without one."""
    try:
        with opened(home) as store:
            return known_config(args, home, store)
    except CliError:
        return config


def _refuse_home_without_room(home: Path) -> None:
    """One clear line when the first start has no place for the CA. Later ones serve from a full or read-only disk."""
    if (home / CA_KEY).exists():
        return
    try:
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(bytes(CA_BYTES))
    except OSError as e:
        raise CliError(f"cannot make the proxy's CA in {home}: {e.strerror or e}") from e


def _refuse_taken_port(host: str, port: int, home: Path) -> None:
    """One clear line instead of mitmproxy's three. Between this look and the real bind it can still be taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as e:
            if e.errno != errno.EADDRINUSE:
                raise CliError(f"cannot listen on {host}:{port}: {e.strerror or e}") from e
            found = running(home)
            who = f"a balancer (pid {found.pid})" if found and found.port == port else "another program"
            raise CliError(f"port {port} is taken by {who}; choose another one with -p") from e
        except OverflowError as e:
            raise CliError(f"{port} is not a port: 0 to 65535", 2) from e
