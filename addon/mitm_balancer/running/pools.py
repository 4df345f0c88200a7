"""From a configuration to what requests work with: registry, accounts, pools, and who may stand in for whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from mitm_balancer.config import AccountSpec, Config
from mitm_balancer.core.matrix import Matrix
from mitm_balancer.providers.identity import account_fields
from mitm_balancer.providers.model import Provider
from mitm_balancer.providers.registry import Registry
from mitm_balancer.proxy import wire
from mitm_balancer.proxy.runtime import Account, ProviderPool, Runtime
from mitm_balancer.proxy.standin import with_stand_ins
from mitm_balancer.running.circumstances import configure
from mitm_balancer.secrets import Secret
from mitm_balancer.upstream.base import Origin

type MakePool = Callable[[Provider, list[AccountSpec]], ProviderPool]


def put(runtime: Runtime, config: Config, make: MakePool) -> None:
    """Put the configuration's accounts, order and pins in force for new requests."""
    configure(runtime, config)
    registry = Registry(_as_configured(provider, config) for provider in config.all_providers())
    # As the registry has them: the user's own ones are completed with the tables of their dialect.
    by_name = {provider.name: provider for provider in registry}
    pools = {name: make(by_name[name], specs) for name, specs in _by_provider(config.accounts).items()}
    runtime.pins = config.priority.pins
    runtime.matrix = matrix = Matrix(config.priority.providers, config.priority.across)
    if config.balancing:
        pools = with_stand_ins(by_name, pools, matrix, lambda provider: make(provider, []))
    runtime.registry, runtime.pools = registry, pools


def make_account(spec: AccountSpec, provider: Provider, secret: Secret | None, *, renewable: bool = False) -> Account:
    """The account as attempts need it."""
    carrier = None if secret is None else wire.Carrier(provider.form_for(secret.reveal()), secret.reveal())
    told = account_fields(provider.name, secret.reveal()) if secret is not None else {}
    identity = told | dict(spec.identity)
    account = Account(
        spec.name, spec.alias, provider, carrier, wire.leaving(provider), identity, renewable=renewable
    )  # fmt: skip
    if (base := spec.base_url) is None:
        return account
    origin = Origin(base.scheme, base.host, base.port)
    return dataclasses.replace(account, origin=origin, base_path=base.path, host=wire.default_host(origin))


def _as_configured(provider: Provider, config: Config) -> Provider:
    """The provider with the addresses of its accounts, and the user's own error rules before its own."""
    provider = _with_own_hosts(provider, config.accounts)
    rules = tuple(row.rule for row in config.rules if row.concerns(provider.name))
    return dataclasses.replace(provider, errors=(*rules, *provider.errors)) if rules else provider


def _with_own_hosts(provider: Provider, accounts: Iterable[AccountSpec]) -> Provider:
    """A provider without an address of its own (Azure) is claimed where its accounts' endpoints are."""
    if not provider.needs_base_url:
        return provider
    own = (f"{a.base_url.host}:{a.base_url.port}" for a in accounts if a.provider == provider.name and a.base_url)
    return dataclasses.replace(provider, hosts=tuple(dict.fromkeys((*provider.hosts, *own))))


def _by_provider(specs: Iterable[AccountSpec]) -> dict[str, list[AccountSpec]]:
    """Accounts of each provider that has an enabled one: the others could not serve, so their hosts stay blind."""
    found: dict[str, list[AccountSpec]] = {}
    for spec in specs:
        found.setdefault(spec.provider, []).append(spec)
    return {name: group for name, group in found.items() if any(spec.enabled for spec in group)}
