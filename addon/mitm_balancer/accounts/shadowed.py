"""Accounts that never serve, because a provider of the user's own claims the host and the paths of theirs."""

from __future__ import annotations

from collections.abc import Iterator

from mitm_balancer.config import Config
from mitm_balancer.providers.model import PathKind, Provider


def shadowed(config: Config) -> Iterator[str]:
    """One sentence for each such pair of providers, if both have accounts or the hidden one has."""
    with_accounts = {spec.provider for spec in config.accounts}
    providers = config.all_providers()
    for place, own in enumerate(providers):
        for other in providers[place + 1 :] if own.custom else ():
            hosts = [host for host in own.hosts if host in other.hosts]
            if hosts and other.name in with_accounts and _takes_inference(own, other):
                yield (
                    f"providers.{own.name} names {hosts[0]}, a host of {other.name}, and comes first: what is asked "
                    f"there goes to accounts of {own.name}, never to those of {other.name}"
                )


def _takes_inference(own: Provider, other: Provider) -> bool:
    """Whether any inference path of the other one is claimed."""
    patterns = (rule.pattern for rule in other.paths if rule.kind is PathKind.INFERENCE)
    return any(own.rule_for("POST", pattern.replace("*", "x")) for pattern in patterns)
