"""`balancer accounts test [NAME]`: does the provider take the credential? One small request, which costs nothing."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Mapping

from mitm_balancer.accounts.credentials import CredentialError, resolve
from mitm_balancer.accounts.probing import Finding, finding, probe
from mitm_balancer.cli.bus import Proxy, running
from mitm_balancer.cli.desk import Desk, desk
from mitm_balancer.cli.output import print_json, table
from mitm_balancer.config import AccountSpec, BaseUrl, Stored
from mitm_balancer.config.urls import is_loopback
from mitm_balancer.providers.identity import account_fields
from mitm_balancer.proxy.wire import join_path
from mitm_balancer.secrets import Secret
from mitm_balancer.upstream.ask import ask
from mitm_balancer.upstream.base import Origin, UpstreamError
from mitm_balancer.upstream.dial import Via, proxy_from_environment
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.upstream.tls import TlsSettings

SECONDS = 15.0
"""For one account's answer: a person is waiting."""

GOOD = ("ok", "limited")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="accounts, stored or declared; default: all")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def main(args: argparse.Namespace) -> int:
    with desk(args, make=True) as at:
        specs = [at.spec(name) for name in args.names] or list(at.roster.accounts)
        credentials = {a.name: a for a in at.book.all()}
        secrets = {name: a.credential.secret for name, a in credentials.items() if a.credential is not None}
        problems = {name: a.problem for name, a in credentials.items() if a.problem}
        found = asyncio.run(_all(at, specs, secrets, problems, running(at.home)))
    if args.json:
        told = [{"account": name, "result": f.word, "detail": f.detail} for name, f in found.items()]
        print_json({"accounts": told, "at": time.time()})
    else:
        print("\n".join(table([(name, f.word, f.detail) for name, f in found.items()])) or "no accounts yet")
    return 0 if all(f.word in GOOD for f in found.values()) else 1


async def _all(
    at: Desk,
    specs: list[AccountSpec],
    secrets: Mapping[str, Secret],
    problems: Mapping[str, str],
    proxy: Proxy | None,
) -> dict[str, Finding]:
    pool = Pool()
    pool.configure(TlsSettings(trusted_ca=os.environ.get("SSL_CERT_FILE")), lambda origin: _route(origin, proxy))
    try:
        # One after the other: an account per provider would do, and nobody is to look like a scan.
        return {spec.name: await _one(pool, at, spec, secrets, problems) for spec in specs}
    finally:
        await pool.aclose()


async def _one(
    pool: Pool, at: Desk, spec: AccountSpec, secrets: Mapping[str, Secret], problems: Mapping[str, str]
) -> Finding:
    try:
        stored = isinstance(spec.credential, Stored)
        if stored and spec.name not in secrets:
            raise CredentialError(problems.get(spec.name, "it is not stored any more"))
        secret = secrets[spec.name] if stored else await resolve(spec.credential)
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


def _below(base: BaseUrl) -> Callable[[str], str]:
    """Where an account with a base URL sends a path to."""
    return lambda path: str(base).removesuffix(base.path) + join_path(base.path, path)


def _route(origin: Origin, proxy: Proxy | None) -> Via | None:
    """As the environment says, but never through our own proxy: it would put another account's credential in."""
    via = proxy_from_environment(origin)
    if via is not None and proxy is not None and via.port == proxy.port and is_loopback(via.host):
        return None
    return via
