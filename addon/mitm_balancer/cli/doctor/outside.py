"""Only with --online: do the providers answer from here, and do their clocks agree with ours. No credential is sent."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from mitm_balancer.cli import outside
from mitm_balancer.cli.doctor.model import Bench, Finding, Findings, fail, ok, warn
from mitm_balancer.core import resets
from mitm_balancer.upstream.ask import ask
from mitm_balancer.upstream.base import UpstreamError
from mitm_balancer.upstream.pool import Pool

SECONDS = 10.0

SKEW, BAD_SKEW = 30.0, 300.0
"""Seconds: from the first on resets are off by more than their jitter (X9); at the second, tokens count as expired."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What came back from one host."""

    host: str
    seconds: float = 0.0
    status: int = 0
    skew: float | None = None
    """How far its clock is ahead of ours."""
    error: str = ""
    tls: bool = False
    """The error is TLS's."""


def reach(bench: Bench) -> Findings:
    """One GET of `/` to each host, without a credential: any answer will do."""
    hosts = list(dict.fromkeys(host for _, host in bench.hosts))
    if not bench.online or not hosts:
        return
    visits = asyncio.run(_visits(hosts))
    for visit in visits:
        yield _told(visit)
    yield from _clock([visit for visit in visits if visit.skew is not None])


async def _visits(hosts: list[str]) -> list[Visit]:
    pool = outside.pool()
    try:
        return await asyncio.gather(*(_visit(pool, host) for host in hosts))
    finally:
        await pool.aclose()


async def _visit(pool: Pool, host: str) -> Visit:
    begun = time.monotonic()
    try:
        told = await ask(pool, "GET", f"https://{host}/", timeout=SECONDS)
    except UpstreamError as e:
        return Visit(host, error=str(e), tls=e.stage == "tls")
    taken = time.monotonic() - begun
    date = resets.stamp(told.header("date"))
    return Visit(host, taken, told.status, None if date is None else date - time.time())


def _told(visit: Visit) -> Finding:
    if visit.tls:
        cure = "is there a proxy that looks into TLS? name its root in SSL_CERT_FILE, or start with -m upstream:URL"
        return fail("reach", f"{visit.host}: {visit.error}", cure)
    if visit.error:
        return fail("reach", f"{visit.host}: {visit.error}", "check the network, DNS, and HTTPS_PROXY if one is needed")
    return ok("reach", f"{visit.host} answers ({visit.status}) in {visit.seconds * 1000:.0f} ms")


def _clock(visits: list[Visit]) -> Findings:
    """The middle one counts: a single host's clock may be wrong itself."""
    skews = sorted(visit.skew for visit in visits if visit.skew is not None)
    if not skews:
        return
    skew = skews[len(skews) // 2]
    cure = "set the clock (timedatectl set-ntp true, sntp -sS time.apple.com, w32tm /resync)"
    text = f"this machine is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the providers"
    if abs(skew) >= BAD_SKEW:
        yield fail("clock", f"{text}: logins may be refused", cure)
    elif abs(skew) >= SKEW:
        yield warn("clock", text, cure)
    else:
        yield ok("clock", "agrees with the providers'")
