"""`accounts:` of the configuration, one entry at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mitm_balancer.config.checks import boolean, many, name, number, text, whole
from mitm_balancer.config.credentials import CREDENTIAL, credential
from mitm_balancer.config.model import AccountSpec
from mitm_balancer.config.nodes import BadValueError, Value
from mitm_balancer.config.sources import Literal
from mitm_balancer.config.urls import base_url
from mitm_balancer.providers.model import Provider
from mitm_balancer.secrets import Secret

KEYS = (
    "provider",
    "alias",
    "credential",
    "base_url",
    "priority",
    "weight",
    "models",
    "concurrency_limit",
    "enabled",
    "policy_tags",
    "identity",
)
IDENTITY = ("account_id", "account_uuid", "project", "location")
"""What `Provider.account_headers`, `account_body` and `account_path` ask for."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""It goes into headers, paths and bodies."""

FARTHEST = 1_000_000
"""The greatest number for `priority`, and with a minus the least."""


def read_accounts(value: Value, providers: Mapping[str, Provider], folder: Path) -> tuple[AccountSpec, ...]:
    """Every sound account. `providers` are those that may be named; relative file paths start at `folder`."""
    found: dict[str, AccountSpec] = {}
    for entry in value.items():
        spec = entry.take(lambda entry: _account(entry, providers, folder))
        if spec is None:
            continue
        if spec.name in found:
            entry.bad(f"the account {spec.name} is declared twice, first in line {found[spec.name].line}")
        found.setdefault(spec.name, spec)
    return tuple(found.values())


def _account(value: Value, providers: Mapping[str, Provider], folder: Path) -> AccountSpec | None:
    table = value.table(KEYS)
    provider = table.need("provider", lambda entry: known_provider(entry, providers), "the name of a provider")
    alias = table.need("alias", name, "a name of a-z 0-9 . _ -")
    source = table.need("credential", lambda entry: credential(entry, folder), CREDENTIAL)
    own_url = table.get("base_url", base_url, None)
    spec = AccountSpec(
        provider=provider or "",
        alias=alias or "",
        credential=source or Literal(Secret("")),
        base_url=own_url,
        priority=table.get("priority", whole(-FARTHEST, FARTHEST), 0),
        weight=table.get("weight", number(above=0), 1),
        models=table.get("models", many(text, least=1), ("*",)),
        concurrency_limit=table.get("concurrency_limit", whole(1), 8),
        enabled=table.get("enabled", boolean, True),
        policy_tags=table.get("policy_tags", many(text), ()),
        identity=table.get("identity", _identity, ()),
        line=value.line,
    )
    if provider is None or alias is None or source is None:
        return None
    if "base_url" not in table.entries and providers[provider].needs_base_url and not providers[provider].hosts:
        value.bad(f"base_url is missing: {provider} has no address of its own, each account states its endpoint")
    return spec


def known_provider(value: Value, providers: Mapping[str, Provider]) -> str:
    """A check for the name of a built-in provider or of one under `providers:`."""
    found = text(value)
    if found not in providers:
        hint = value.suggest(providers) or f" (known: {', '.join(sorted(providers))})"
        raise BadValueError(f"expected a known provider, got {value.shown()}{hint}")
    return found


def _identity(value: Value) -> tuple[tuple[str, str], ...]:
    table = value.table(IDENTITY)
    return tuple((word, found) for word, entry in table.entries.items() if (found := entry.take(_id)) is not None)


def sendable_identity(words: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Those of the words that travel beside a credential and may: they go into headers, paths and bodies."""
    return tuple((word, words[word]) for word in IDENTITY if _ID.fullmatch(words.get(word, "")))


def _id(value: Value) -> str:
    found = text(value)
    if not _ID.fullmatch(found):
        raise BadValueError("expected an id of letters, digits and . _ : -")
    return found
