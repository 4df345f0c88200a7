"""The roster: accounts that the configuration declares and accounts of the store, as one list.

A name that both have is told, and the declared one counts: the file is what its author sees. A stored account that
cannot be used is told too, and disables nobody else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from mitm_balancer.accounts.model import StoredAccount
from mitm_balancer.accounts.shadowed import shadowed
from mitm_balancer.config import AccountSpec, Config, Stored
from mitm_balancer.config.accounts import sendable_identity
from mitm_balancer.config.nodes import BadValueError
from mitm_balancer.config.urls import read_base_url
from mitm_balancer.providers.model import Provider


def merge(config: Config, stored: Sequence[StoredAccount]) -> tuple[Config, tuple[str, ...]]:
    """The configuration with the stored accounts in it, after the declared ones; and what is wrong with some."""
    providers = {provider.name: provider for provider in config.all_providers()}
    # A list that was merged before is merged anew.
    declared = {spec.name: spec for spec in config.accounts if not isinstance(spec.credential, Stored)}
    taken: list[AccountSpec] = []
    problems: list[str] = []
    for account in stored:
        if (spec := declared.get(account.name)) is not None:
            problems.append(_clash(spec, config))
            continue
        found = _spec(account, providers)
        if isinstance(found, str):
            problems.append(f"{account.name}: {found}")
        else:
            taken.append(found)
    merged = dataclasses.replace(config, accounts=(*declared.values(), *taken))
    return merged, (*problems, *_pinned_to_nobody(merged), *shadowed(merged))


def _pinned_to_nobody(config: Config) -> list[str]:
    """Pins of the file to accounts that are none: what they concern is refused, so this is worth a word."""
    known = {spec.name for spec in config.accounts}
    gone = dict.fromkeys(pin.account for pin in config.priority.pins if pin.account not in known)
    return [
        f"priority.pins names {name}, and there is no such account: what is pinned to it is refused" for name in gone
    ]


def place(spec: AccountSpec, config: Config) -> str:
    """Where an account is declared: `config.yaml, line 3`."""
    return f"{config.source or 'the configuration'}, line {spec.line}"


def _clash(spec: AccountSpec, config: Config) -> str:
    return (
        f"{spec.name} is declared in {place(spec, config)} and stored as well: the declared one counts; give one of "
        f"them another name (balancer accounts rename {spec.name} ALIAS renames the stored one)"
    )


def _spec(account: StoredAccount, providers: Mapping[str, Provider]) -> AccountSpec | str:
    """The stored account as if it were declared; or why it cannot be."""
    provider = providers.get(account.provider)
    if provider is None:
        return f"no provider is named {account.provider}: declare it under providers: in the configuration"
    settings = account.settings
    try:
        stated = settings.base_url or (account.credential.extra.get("base_url") if account.credential else None)
        base_url = None if stated is None else read_base_url(stated)
    except BadValueError as bad:
        return f"its base URL is bad: {bad}"
    if base_url is None and provider.needs_base_url and not provider.hosts:
        return f"{provider.name} has no address of its own: add the account again with --base-url"
    identity = sendable_identity(account.credential.identity) if account.credential is not None else ()
    return AccountSpec(
        provider=account.provider,
        alias=account.alias,
        credential=Stored(account.name),
        base_url=base_url,
        priority=settings.priority,
        weight=settings.weight,
        models=settings.models,
        concurrency_limit=settings.concurrency_limit,
        policy_tags=settings.policy_tags,
        identity=identity,
    )
