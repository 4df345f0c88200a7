"""`balancer accounts test [NAME]`: does the provider take the credential? One small request, which costs nothing."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mitm_balancer.accounts.credentials import CredentialError, resolve
from mitm_balancer.accounts.probing import Finding, finding, probe
from mitm_balancer.cli import outside
from mitm_balancer.cli.bus import Proxy, running
from mitm_balancer.cli.desk import Desk, desk
from mitm_balancer.cli.output import CliError, print_json, table
from mitm_balancer.cli.renewed import renewed
from mitm_balancer.config import AccountSpec, BaseUrl, Stored
from mitm_balancer.config.urls import is_loopback
from mitm_balancer.providers.identity import account_fields
from mitm_balancer.proxy.wire import join_path
from mitm_balancer.secrets import Secret
from mitm_balancer.upstream.ask import ask
from mitm_balancer.upstream.base import Origin, UpstreamError
from mitm_balancer.upstream.dial import Via
from mitm_balancer.upstream.pool import Pool

SECONDS = 15.0
"""For one account's answer: a person is waiting."""

GOOD = ("ok", "limited")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="accounts, stored or declared; default: all")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args, make=True) as at:
        if at.mistakes:
            raise CliError(at.mistakes)  # where a credential comes from stands in the configuration only
        specs = [at.spec(name) for name in args.names] or list(at.roster.accounts)
        found = asyncio.run(_all(at, specs))
    if args.json:
        told = [{"account": name, "result": f.word, "detail": f.detail} for name, f in found.items()]
        print_json({"accounts": told, "at": time.time()})
    else:
        print("\n".join(table([(name, f.word, f.detail) for name, f in found.items()])) or "no accounts yet")
    return 0 if all(f.word in GOOD for f in found.values()) else 1


@dataclass(frozen=True, slots=True)
class _Vaulted:
    """What the stored accounts have to send, by name; and why some have nothing."""

    secrets: Mapping[str, Secret]
    problems: Mapping[str, str]


async def _all(at: Desk, specs: Sequence[AccountSpec]) -> dict[str, Finding]:
    proxy = await asyncio.to_thread(running, at.home)
    pool = outside.pool()
    pool.configure(pool.tls, lambda origin: _route(origin, proxy))
    try:
        names = {spec.name for spec in specs if isinstance(spec.credential, Stored)}
        accounts, problems = await renewed(at.book, at.store, pool, at.home, names)
        vaulted = _Vaulted(
            {a.name: a.credential.secret for a in accounts if a.credential is not None},
            {a.name: a.problem for a in accounts if a.problem} | problems,
        )
        # One after the other: this is no hurry, and is not to look like a scan.
        return {spec.name: await _one(pool, at, spec, vaulted) for spec in specs}
    finally:
        await pool.aclose()


async def _one(pool: Pool, at: Desk, spec: AccountSpec, vaulted: _Vaulted) -> Finding:
    try:
        secret = await _secret(spec, vaulted)
    except CredentialError as error:
        return Finding("unusable", str(error))
    provider = at.provider(spec.provider)
    identity = account_fields(provider.name, secret.reveal()) | dict(spec.identity)
    request = probe(provider, secret, identity, None if spec.base_url is None else _below(spec.base_url))
    if request is None:
        return Finding("unclear", f"no free request is known for {provider.name}; the first real one will tell")
    try:
        told = await ask(pool, "GET", request.url, headers=request.headers, timeout=SECONDS)
    except UpstreamError as error:
        return Finding("unreachable", str(error))
    return finding(provider, told)


async def _secret(spec: AccountSpec, vaulted: _Vaulted) -> Secret:
    if not isinstance(spec.credential, Stored):
        return await resolve(spec.credential)
    if problem := vaulted.problems.get(spec.name):
        raise CredentialError(problem)
    if spec.name not in vaulted.secrets:
        raise CredentialError("it is not stored any more")
    return vaulted.secrets[spec.name]


def _below(base: BaseUrl) -> Callable[[str], str]:
    """Where an account with a base URL sends a path to."""
    return lambda path: str(base).removesuffix(base.path) + join_path(base.path, path)


def _route(origin: Origin, proxy: Proxy | None) -> Via | None:
    """The way out; never through our own proxy, which would put another account's credential in."""
    via = outside.way_out(origin)
    return None if via and proxy and via.port == proxy.port and is_loopback(via.host) else via
