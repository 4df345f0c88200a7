"""All checks in the order in which they are told, and the one border at which a bad one ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mitm_balancer.cli.doctor.accounts import accounts, configuration, keys
from mitm_balancer.cli.doctor.agents import agents
from mitm_balancer.cli.doctor.authority import authority
from mitm_balancer.cli.doctor.environment import environment
from mitm_balancer.cli.doctor.folder import home, store, vault
from mitm_balancer.cli.doctor.machine import mitmproxy, port, python
from mitm_balancer.cli.doctor.model import Bench, Finding, Findings, warn
from mitm_balancer.cli.doctor.outside import reach
from mitm_balancer.cli.doctor.settings import settings

CHECKS: tuple[Callable[[Bench], Findings], ...] = (
    python,
    mitmproxy,
    home,
    store,
    vault,
    configuration,
    accounts,
    keys,
    authority,
    port,
    environment,
    settings,
    agents,
    reach,
)


def run(bench: Bench) -> Iterator[Finding]:
    """Every finding. A check that fails itself costs its own findings only, and says so."""
    for check in CHECKS:
        try:
            yield from check(bench)
        except Exception as e:  # noqa: BLE001 - a machine that nobody foresaw must still get all other findings
            yield warn(check.__name__, f"this check failed: {type(e).__name__}: {e}", "please report it")
