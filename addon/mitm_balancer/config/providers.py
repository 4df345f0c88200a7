"""`providers:` of the configuration: the user's own gateways, and more hosts for the built-in providers."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import re

from mitm_balancer.config.checks import NAME, many, one_of, text
from mitm_balancer.config.nodes import BadValueError, Table, Value
from mitm_balancer.config.urls import host_entry
from mitm_balancer.providers.model import BEARER, Auth, CredentialForm, Dialect, PathRule, Provider
from mitm_balancer.providers.registry import BUILTIN

KEYS = ("hosts", "dialect", "auth", "paths", "websocket")
DEFAULT_PATHS = ("/v1/*",)

# Gateways that speak openai-chat usually speak these two as well, under these path endings (LiteLLM, vLLM, OpenRouter).
CHAT_SIBLINGS = (
    ("/v1/responses", Dialect.OPENAI_RESPONSES),
    ("/messages", Dialect.ANTHROPIC_MESSAGES),
    ("/messages/count_tokens", Dialect.ANTHROPIC_MESSAGES),
)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 section 5.6.2: a header name."""

_FRAMING = frozenset({"host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "trailer"})
"""A credential here would break the message instead of signing it."""

_BUILTIN = {provider.name: provider for provider in BUILTIN}


def read_providers(value: Value) -> tuple[Provider, ...]:
    """Every sound entry, in the order of the file."""
    found = []
    for key, entry in value.table().entries.items():
        if not NAME.fullmatch(key):
            entry.bad("expected a provider name of a-z 0-9 . _ -")
        elif (provider := entry.take(functools.partial(_provider, key))) is not None:
            found.append(provider)
    return tuple(found)


def _provider(key: str, value: Value) -> Provider | None:
    table = value.table(KEYS)
    builtin = _BUILTIN.get(key)
    if builtin is not None:
        return _extended(builtin, table)
    hosts = table.need("hosts", many(host_entry, least=1), 'a list of hosts, like ["llm.corp.example"]')
    dialect = table.get("dialect", _dialect, Dialect.OPENAI_CHAT)
    auth = table.get("auth", _auth, BEARER)
    paths = table.get("paths", many(_path, least=1), DEFAULT_PATHS)
    if hosts is None:
        return None
    return Provider(
        name=key,
        hosts=tuple(dict.fromkeys(hosts)),
        dialect=dialect,
        paths=path_rules(paths, dialect),
        forms=(CredentialForm(auth),),
        websocket=table.get("websocket", one_of("upgrade", "refuse"), "upgrade"),
        custom=True,
    )


def _extended(builtin: Provider, table: Table) -> Provider:
    """The built-in provider with more hosts; the other keys replace what they name and leave the rest."""
    hosts = table.get("hosts", many(host_entry), ())
    dialect = table.get("dialect", _dialect, builtin.dialect)
    auth = table.get("auth", _auth, None)
    paths = table.get("paths", many(_path, least=1), None)
    provider = dataclasses.replace(
        builtin,
        hosts=tuple(dict.fromkeys((*builtin.hosts, *hosts))),
        dialect=dialect,
        websocket=table.get("websocket", one_of("upgrade", "refuse"), builtin.websocket),
        paths=builtin.paths if paths is None else path_rules(paths, dialect),
    )
    return provider if auth is None else _signed_by(provider, auth)


def _signed_by(provider: Provider, auth: Auth) -> Provider:
    """The credential stands in one place, whatever its shape and whatever the path's own rule says."""
    paths = tuple(dataclasses.replace(rule, auth=None, mirror=False) for rule in provider.paths)
    return dataclasses.replace(provider, forms=(CredentialForm(auth),), paths=paths)


def path_rules(globs: tuple[str, ...], dialect: Dialect) -> tuple[PathRule, ...]:
    """Inference rules for the globs; with openai-chat, the sibling dialects' paths within them come first."""
    siblings = CHAT_SIBLINGS if dialect is Dialect.OPENAI_CHAT else ()
    narrow = [PathRule(pattern, dialect=sibling) for ending, sibling in siblings for pattern in _ending(globs, ending)]
    return (*narrow, *(PathRule(pattern, dialect=dialect) for pattern in globs))


def _ending(globs: tuple[str, ...], ending: str) -> list[str]:
    return list(dict.fromkeys(pattern for glob in globs for pattern in narrowed(glob, ending)))


def narrowed(glob: str, ending: str) -> list[str]:
    """Globs for those paths of `glob` that end in `ending`: `/v1/*`, `/messages` -> `/v1/messages`, `/v1/*/messages`.

    A wildcard other than a `*` at the end of the glob is left as it is.
    """
    if not glob.endswith("*"):
        return [glob] if glob.endswith(ending) else []
    head = glob[:-1]
    literal = re.split(r"[*?\]]", head)[-1]
    overlaps = [head + ending[size:] for size in range(len(ending), 0, -1) if literal.endswith(ending[:size])]
    whole = [ending] if fnmatch.fnmatchcase(ending, glob) else []
    return list(dict.fromkeys([*whole, *overlaps, f"{head}*{ending}"]))


def _dialect(value: Value) -> Dialect:
    return Dialect(one_of(*Dialect)(value))


def _path(value: Value) -> str:
    found = text(value)
    if not found.startswith(("/", "*")) or any(char in found for char in "?# "):
        raise BadValueError(
            f"expected a glob over the path that begins with / or * and has no query, got {value.shown()}"
        )
    return found


def _auth(value: Value) -> Auth:
    if not value.is_table:
        return BEARER if one_of("bearer", "x-api-key")(value) == "bearer" else Auth(header="x-api-key")
    table = value.table(("header", "prefix", "query"))
    if "query" in table.entries and len(table.entries) == 1:
        return Auth(query=table.get("query", _parameter, ""))
    if "query" in table.entries or "header" not in table.entries:
        raise BadValueError("expected bearer, x-api-key, {header: NAME, prefix: TEXT} or {query: NAME}")
    return Auth(header=table.get("header", _header, ""), prefix=table.get("prefix", _prefix, ""))


def _header(value: Value) -> str:
    found = text(value)
    if not _TOKEN.fullmatch(found) or found.lower() in _FRAMING:
        raise BadValueError(f"expected the name of a header that can carry a credential, got {value.shown()}")
    return found.lower()


def _prefix(value: Value) -> str:
    found = value.scalar()
    if not isinstance(found, str) or not found.isascii() or not found.isprintable():
        raise BadValueError("expected a short text like 'Bearer '")
    return found


def _parameter(value: Value) -> str:
    found = text(value)
    if not re.fullmatch(r"[A-Za-z0-9._~-]+", found):
        raise BadValueError(f"expected the name of a query parameter, got {value.shown()}")
    return found
