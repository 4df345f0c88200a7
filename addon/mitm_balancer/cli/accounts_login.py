"""`balancer accounts login PROVIDER`: the official client logs in, in a home of its own, and the login is taken over.

Browser, device code and consent stay the vendor's. The home is private, below the balancer's own, and gone afterwards.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from mitm_balancer.accounts.alias import normalized
from mitm_balancer.accounts.importing.model import Found, Surroundings
from mitm_balancer.accounts.importing.naming import propose
from mitm_balancer.accounts.importing.sources import search
from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.sameness import known_identity
from mitm_balancer.cli.clientenv import without_ourselves
from mitm_balancer.cli.desk import Desk, desk
from mitm_balancer.cli.loginclients import ALL, BY_PROVIDER, SAME, Client, furnish, isolated
from mitm_balancer.cli.output import CliError, complain, own_command, print_json
from mitm_balancer.providers.registry import Registry

FOLDER = "login-"
"""What the homes of clients are called; one that a crash has left is removed by the next login."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("provider", metavar="PROVIDER", help=f"{', '.join(BY_PROVIDER)}; others with --client opencode")
    parser.add_argument("--alias", help="what to call it; default: by its e-mail")
    parser.add_argument("--client", choices=tuple(ALL), help="the client that logs in; default: the vendor's own")
    parser.add_argument("--program", metavar="FILE", help="where that client is, when it is not in PATH")
    parser.add_argument("--no-browser", action="store_true", help="a code instead of a browser on this machine")
    parser.add_argument("--keep", action="store_true", help="do not switch to it; the account in use stays")
    parser.add_argument("--json", action="store_true", help="tell the result as one JSON object")


def main(args: argparse.Namespace) -> int:
    name = SAME.get(args.provider, args.provider)
    alias = normalized(args.alias) if args.alias else None
    with desk(args, make=True) as at:
        provider = at.provider(name)
        client = ALL[args.client] if args.client else BY_PROVIDER.get(provider.name)
        if client is None:
            raise CliError(
                f"{provider.name} knows keys only: {own_command()} accounts add {provider.name}; "
                f"a login that opencode has: --client opencode", 2,
            )  # fmt: skip
        program = _program(client, args.program)
        found = _log_in(client, program, at, provider.name, remote=args.no_browser)
        saved, known = _save(at, found, alias, activate=not args.keep)
        at.told()
    if args.json:
        print_json({"account": saved.name, "kind": saved.kind, "new": known is None, "expires_at": saved.expires_at})
    elif known is not None:
        print(f"{saved.name} has a new login")
        if alias is not None and alias != saved.alias:
            print(f"it keeps its name: {own_command()} accounts rename {saved.name} {alias} changes that")
    else:
        print(f"{saved.name} is stored, sealed; see whether it works: {own_command()} accounts test {saved.name}")
    return 0


def _program(client: Client, given: str | None) -> str:
    found = shutil.which(given or client.name)
    if found is None:
        what = f"{given} is no program" if given else f"{client.name} is not installed"
        raise CliError(f"{what}: {client.install}, or say with --program where it is")
    return str(Path(found).absolute())


def _log_in(client: Client, program: str, at: Desk, provider: str, *, remote: bool) -> Found:
    """Run the client on this terminal; what it has of that provider afterwards. CliError when it has nothing."""
    for left in at.home.glob(f"{FOLDER}*"):
        shutil.rmtree(left, ignore_errors=True)
    home = Path(tempfile.mkdtemp(prefix=FOLDER, dir=at.home))  # 0700, as the balancer's home is
    environ = without_ourselves(os.environ)
    try:
        furnish(client, home, environ)
        env = isolated(client, home, environ, remote=remote)
        if client.advice:
            print(client.advice, file=sys.stderr)
        code = _run([program, *client.argv, *(client.remote if remote else ())], env, home)
        names = frozenset(one.name for one in Registry(at.config.all_providers()))
        around = Surroundings(env, home, home, "linux", names)
        harvest = search(around, [client.source])[0]
        for problem in harvest.problems:
            complain(str(problem))
        for found in harvest.found:
            if found.provider == provider:
                return found
        others = ", ".join(sorted({found.provider for found in harvest.found}))
        what = f"it logged in at {others}, not at {provider}" if others else "it left no login"
        raise CliError(f"{client.name} ended with exit code {code}, and {what}: nothing was stored")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(command: list[str], env: dict[str, str], home: Path) -> int:
    """On this terminal, to its end. Ctrl-C is the client's; we still have to tidy up."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # a handler, not SIG_IGN: the client must not inherit it
    try:
        return subprocess.run(command, env=env, cwd=home, check=False).returncode
    except OSError as error:
        raise CliError(f"{command[0]} cannot be started: {error.strerror}") from error
    finally:
        signal.signal(signal.SIGINT, before)


def _save(at: Desk, found: Found, alias: str | None, *, activate: bool) -> tuple[StoredAccount, StoredAccount | None]:
    known = at.book.same(found.provider, found.credential)
    names = {account.name for account in at.book.all()} | {spec.name for spec in at.config.accounts}
    taken = {name.partition("/")[2] for name in names if name.startswith(f"{found.provider}/")}
    if known is None and alias is not None and alias in taken:
        complain(f"{found.provider}/{alias} is another account: this one gets another alias")
        alias = None
    chosen = alias or propose(known_identity(found.provider, found.credential), found.agent, taken, found.alias)
    saved = at.book.save(found.provider, chosen or None, found.credential, "login", activate=activate, taken=taken)
    return saved, known
