"""The configuration and the accounts: is it readable, can each one be used, does its key look like one."""

from __future__ import annotations

import time

from mitm_balancer.accounts.shapes import complaint, ends_at
from mitm_balancer.cli.doctor.model import Bench, Findings, fail, ok, warn
from mitm_balancer.config import AccountSpec, Literal, Stored
from mitm_balancer.core.durations import countdown


def configuration(bench: Bench) -> Findings:
    """Every mistake in the file is one finding."""
    for problem in bench.config_problems:
        yield fail("config", problem, f"correct {bench.config_file}; a running proxy keeps what it has meanwhile")
    if bench.config_problems:
        return
    source = bench.config.source
    if source is None:
        yield ok("config", f"none: {bench.config_file} is read when it exists")
        return
    literal = any(isinstance(spec.credential, Literal) for spec in bench.config.accounts)
    if literal and source.stat().st_mode & 0o077:
        yield warn("config", f"{source} holds credentials, and others can read it", f"chmod 600 {source}")
    else:
        yield ok("config", str(source))


def accounts(bench: Bench) -> Findings:
    """The list: clashes, and whether anybody could serve."""
    for problem in bench.roster_problems:
        told, _, cure = problem.partition(": ")
        yield warn("accounts", told, cure or problem)
    if bench.config_problems:
        return
    able = [spec for spec in bench.enabled if spec.name in bench.secrets]
    if not bench.config.accounts:
        yield warn("accounts", "none: everything passes through untouched", f"{bench.command} accounts import, or add")
    elif not able:
        yield fail("accounts", "none can be used", "see the findings about keys")
    else:
        lonely = [name for name in dict.fromkeys(s.provider for s in able) if _count(able, name) == 1]
        text = f"{len(able)} of {len(bench.config.accounts)} can be used"
        if lonely and len(able) > 1:
            text += f"; nobody stands in for the one of {', '.join(lonely)}"
        elif len(able) == 1:
            text += "; with one there is nothing to fail over to"
        yield ok("accounts", text)


def keys(bench: Bench) -> Findings:
    """Their form only: nothing is sent."""
    builtin = {provider.name for provider in bench.config.all_providers() if not provider.custom}
    good = 0
    for spec in bench.enabled:
        if (problem := bench.credential_problems.get(spec.name)) is not None:
            told, _, cure = problem.partition(": ")
            yield warn("keys", f"{spec.name}: {told}", cure or f"{bench.command} accounts add {spec.name}")
            continue
        secret = bench.secrets.get(spec.name)
        if secret is None:
            continue
        said = complaint(spec.provider, secret.reveal()) if spec.provider in builtin and not spec.base_url else ""
        ended = _ended(spec, secret.reveal())
        if said:
            yield warn("keys", f"{spec.name}: {said}", f"{bench.command} accounts test {spec.name} asks the provider")
        elif ended:
            yield warn("keys", f"{spec.name}: its token ended {ended} ago", _renewal(spec, bench.command))
        else:
            good += 1
    if good:
        yield ok(
            "keys", f"{good} look{'s' if good == 1 else ''} right", f"{bench.command} accounts test asks the providers"
        )


def _count(able: list[AccountSpec], provider: str) -> int:
    return sum(spec.provider == provider for spec in able)


def _ended(spec: AccountSpec, credential: str) -> str:
    """How long ago, for a token that nobody renews: the proxy renews those of stored accounts."""
    end = ends_at(credential)
    over = 0.0 if end is None else time.time() - end
    return countdown(over) if over > 0 and not isinstance(spec.credential, Stored) else ""


def _renewal(spec: AccountSpec, command: str) -> str:
    return f"{command} accounts login {spec.provider}: the proxy renews the tokens of stored accounts by itself"
