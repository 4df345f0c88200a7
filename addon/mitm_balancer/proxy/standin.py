"""Another provider that stands in for the client's own: where a request goes there, and as what (issue 4.4).

The same question in the same dialect, at the other provider's address, with its account's credential, and with the name
that this provider gives the model. All that belongs to the client's own provider stays behind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from mitmproxy import http
from mitmproxy.net import encoding

from mitm_balancer.core.dialect import Dialect
from mitm_balancer.core.matrix import Matrix, Row, renamed
from mitm_balancer.core.splice import put_string
from mitm_balancer.providers.edits import edit_body
from mitm_balancer.providers.entries import Entry, Question, dialects, entry, entry_at, main_question
from mitm_balancer.providers.model import Provider
from mitm_balancer.proxy import wire
from mitm_balancer.upstream.base import Origin, WireRequest

if TYPE_CHECKING:
    from mitm_balancer.proxy.runtime import Account, ProviderPool

_OF_THE_HOME = frozenset({b"x-codex-turn-state"})
"""Request headers that mean nothing to any provider but the one that made them."""

_CODED = b"content-encoding"

ANY_MODEL = "model"
"""Stands for a model where only the way to a provider is asked for."""


class _Body(msgspec.Struct):
    model: object = None


_model = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class StandIn:
    """A provider of the matrix, for one request."""

    row: Row
    pool: ProviderPool
    home: Provider
    asked: Question
    model: str
    """What is asked of it."""

    @property
    def provider(self) -> Provider:
        return self.pool.provider

    def carrier(self, request: http.Request, account: Account) -> wire.Carrier | None:
        """The account's credential as this provider wants it; None: it has none, or there is no way to it."""
        carrier, found = account.carrier, self._entry(account)
        if carrier is None or found is None:
            return None
        names = {name.decode("latin-1").lower() for name, _ in request.headers.fields}
        auth = self.provider.auth_for(found.rule, carrier.credential, names)
        tokens = {token for form in self.home.forms for token in (*form.add_tokens, *form.drop_tokens)}
        dropped = tuple(sorted(tokens - set(carrier.form.add_tokens)))
        form = dataclasses.replace(carrier.form, auth=auth, drop_tokens=(*carrier.form.drop_tokens, *dropped))
        return dataclasses.replace(carrier, form=form)

    def wire(self, request: http.Request, account: Account, carrier: wire.Carrier, body: bytes) -> WireRequest | None:
        """What goes out. `body` is coded as the request says; it goes out without a coding, for who could say which of
        them this provider knows. None: the model cannot be put into it."""
        found = self._entry(account)
        origin = account.origin or origin_of(self.provider)
        plain = self._body(request, account, body)
        if found is None or origin is None or plain is None:
            return None
        gone = account.gone | wire.leaving(self.home) | _OF_THE_HOME | {_CODED}
        host = account.host or wire.default_host(origin)
        base = "" if found.path.startswith(account.base_path + "/") else account.base_path
        return WireRequest(
            origin=origin,
            method=request.data.method,
            target=wire.account_target(
                request, carrier, base, account.edit_path, path=found.path, gone=wire.query_carriers(self.home)
            ),
            headers=wire.for_account(request, carrier, gone=gone, host=host, beside=account.beside),
            body=plain,
        )

    def _entry(self, account: Account) -> Entry | None:
        """A base URL that is itself a base path of the provider says which of its products is meant."""
        stated = entry_at(self.provider, self.asked, account.base_path, self.model) if account.base_path else None
        if stated is not None and "*" not in stated.rule.pattern:
            return stated
        return entry(self.provider, self.asked, self.model)

    def _body(self, request: http.Request, account: Account, body: bytes) -> bytes | None:
        try:
            plain = _decoded(body, request.headers.get("content-encoding"))
            if self.asked.dialect is not Dialect.GEMINI:  # there the model stands in the path
                if _model.decode(plain).model != self.model:
                    plain = put_string(plain, ("model",), self.model)
                if _model.decode(plain).model != self.model:
                    return None
        except (ValueError, msgspec.DecodeError, RecursionError):
            return None
        return edit_body(account.provider, account.identity, plain) if account.edits_body else plain


def stand_ins(
    pools: Mapping[str, ProviderPool], matrix: Matrix, home: Provider, asked: Question, model: str
) -> Iterator[StandIn]:
    """Those that may serve this request in place of `home`, in the order of the matrix."""
    for row in matrix.others(home.name):
        pool = pools.get(row.provider)
        word = renamed(row.model, model)
        if pool is not None and pool.accounts and word is not None and _reachable(pool, asked, word):
            yield StandIn(row, pool, home, asked, word)


def with_stand_ins(
    providers: Mapping[str, Provider],
    pools: Mapping[str, ProviderPool],
    matrix: Matrix,
    empty: Callable[[Provider], ProviderPool],
) -> dict[str, ProviderPool]:
    """The pools whose hosts are worth intercepting: those that the matrix lets serve themselves, and those of its rows
    for which another provider can stand in. `empty` makes a pool without accounts."""
    found = {name: pool for name, pool in pools.items() if matrix.serves_itself(name)}
    for name in [row.provider for row in matrix.rows if row.provider in providers and row.provider not in found]:
        asked = [main_question(dialect) for dialect in dialects(providers[name])]
        others = [pools[row.provider] for row in matrix.others(name) if row.provider in pools]
        if any(_reachable(pool, question, ANY_MODEL) for pool in others for question in asked):
            found[name] = pools[name] if name in pools else empty(providers[name])
    return found


def origin_of(provider: Provider) -> Origin | None:
    """Where a provider is asked whose own client did not say; None: only its accounts know."""
    hosts = [host for host in provider.hosts if "*" not in host]
    if not hosts:
        return None
    name, colon, port = hosts[0].rpartition(":")
    if colon and port.isdigit() and not name.endswith(":"):
        return Origin("https", name.strip("[]"), int(port))
    return Origin("https", hosts[0].strip("[]"), 443)


def _reachable(pool: ProviderPool, asked: Question, model: str) -> bool:
    if entry(pool.provider, asked, model) is None:
        return False
    return origin_of(pool.provider) is not None or any(a.origin is not None for a in pool.accounts.values())


def _decoded(body: bytes, coding: str | None) -> bytes:
    """Raises ValueError."""
    plain = encoding.decode(body, coding) if coding else body
    if not isinstance(plain, bytes):
        raise ValueError(f"no bytes behind {coding}")
    return plain
