"""`balancer doctor`: is everything set up, and what to do where it is not. It changes nothing.

Without --online nothing leaves this machine. Exit code 1 only when something does not work.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from mitm_balancer.accounts.book import AccountBook
from mitm_balancer.accounts.credentials import CredentialError, resolve
from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.roster import merge
from mitm_balancer.accounts.vault import Vault
from mitm_balancer.cli.bus import Proxy, opened, proxy_state, running
from mitm_balancer.cli.doctor.checks import run
from mitm_balancer.cli.doctor.folder import damage_of
from mitm_balancer.cli.doctor.model import Bench, Finding, Level
from mitm_balancer.cli.output import WIDTH, CliError, coloured, own_command, print_json
from mitm_balancer.cli.places import expected_config, home_of, same_places
from mitm_balancer.cli.run_verb import PORT
from mitm_balancer.config import Config, ConfigErrors, Stored, load
from mitm_balancer.paths import config_path
from mitm_balancer.secrets import Secret

VERSION = 1
"""Of the JSON."""

COLOURS = {Level.OK: 32, Level.WARN: 33, Level.FAIL: 31}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--online", action="store_true", help="ask the providers too: reachable, and the same time?")
    parser.add_argument("-p", "--listen-port", type=int, default=PORT, metavar="PORT", help=f"default {PORT}")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    findings = list(run(lay_out(args)))
    worst = any(finding.level is Level.FAIL for finding in findings)
    if args.json:
        told = [{"level": f.level.value, "subject": f.subject, "text": f.text, "cure": f.cure} for f in findings]
        print_json({"version": VERSION, "ok": not worst, "findings": told})
    else:
        print("\n".join(lines(findings)))
    return 1 if worst else 0


def lay_out(args: argparse.Namespace) -> Bench:
    """Look at everything once. What cannot be read is a finding, never the end."""
    home = home_of(args)
    path, explicit = config_path(args.config or None, home)
    config = Config()
    problems: tuple[str, ...] = ()
    try:
        config = load(path if explicit or path.exists() else None)
    except ConfigErrors as e:
        problems = tuple(str(error) for error in e.errors)
    stored, proxy, told = _stored(home)
    merged, clashes = merge(config, stored)
    secrets = {account.name: account.credential.secret for account in stored if account.credential is not None}
    declared, unusable = asyncio.run(_declared(merged))
    return Bench(
        home=home,
        config_file=expected_config(args, home),
        environ=dict(os.environ),
        user_home=Path.home(),
        folder=Path.cwd(),
        port=args.listen_port,
        online=args.online,
        config=merged,
        config_problems=problems,
        roster_problems=clashes,
        stored=stored,
        secrets=secrets | declared,
        credential_problems={account.name: account.problem for account in stored if account.problem} | unusable | told,
        proxy=proxy,
        command=shlex.join([own_command(), *same_places(args)]) if same_places(args) else own_command(),
    )


def _stored(home: Path) -> tuple[list[StoredAccount], Proxy | None, dict[str, str]]:
    """The stored accounts, the running proxy, and what that one says of credentials: it has met the providers.

    A database that is damaged is told by its own check; it is not opened here, because that would mend it.
    """
    if damage_of(home) is not None:
        return [], None, {}
    try:
        with opened(home) as store:
            accounts = AccountBook(store, Vault.open(home)).all() if store is not None else []
        proxy = running(home)
        told = proxy_state(home).get("credential_problems") if proxy is not None else None
    except CliError:
        return [], None, {}
    return accounts, proxy, {str(name): str(why) for name, why in told.items()} if isinstance(told, dict) else {}


async def _declared(config: Config) -> tuple[dict[str, Secret], dict[str, str]]:
    """The credentials of declared accounts, and why some cannot be had. Commands are run, as the proxy runs them."""
    specs = [spec for spec in config.accounts if spec.enabled and not isinstance(spec.credential, Stored)]
    found = await asyncio.gather(*(resolve(spec.credential) for spec in specs), return_exceptions=True)
    secrets = {spec.name: value for spec, value in zip(specs, found, strict=True) if isinstance(value, Secret)}
    problems = {spec.name: str(e) for spec, e in zip(specs, found, strict=True) if isinstance(e, CredentialError)}
    return secrets, problems


def lines(findings: Sequence[Finding]) -> list[str]:
    """For people: one block for each finding, its cure below it, and the sum at the end."""
    width = max(len(finding.subject) for finding in findings)
    indent = " " * (6 + width + 2)
    found = []
    for finding in findings:
        first, *more = _wrapped(finding.text, WIDTH - len(indent)) or [""]
        word = coloured(finding.level.value.ljust(4), COLOURS[finding.level])
        found.append(f"{word}  {finding.subject.ljust(width)}  {first}")
        found += [indent + part for part in more]
        cure = _wrapped(finding.cure, WIDTH - len(indent) - 3)
        found += [f"{indent}{'-> ' if not place else '   '}{part}" for place, part in enumerate(cure)]
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    return [*found, "", _sum(counts[Level.FAIL], counts[Level.WARN])]


def _wrapped(text: str, width: int) -> list[str]:
    """Paths and commands stay in one piece, also where they are longer than a line."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _sum(fails: int, warns: int) -> str:
    if not fails and not warns:
        return "All is well."
    parts = [f"{fails} to mend"] if fails else []
    return f"{', '.join([*parts, *([f'{warns} to look at'] if warns else [])])}."
