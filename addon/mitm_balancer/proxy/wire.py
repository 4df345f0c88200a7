"""From the flow to the wire: the only place where a credential meets a request (DESIGN 3.4, X1).

The flow that people see never holds one. `hide` takes the client's own out of it as the request arrives and keeps it
aside; `for_account` and `for_client` build what is really sent. Everything else goes out as it came: order, casing,
duplicates, body bytes.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mitmproxy import http

from mitm_balancer.providers.model import CARRIER_HEADERS, CARRIER_QUERIES, Auth, CredentialForm, Provider
from mitm_balancer.proxy.fields import first
from mitm_balancer.upstream.base import Origin, RawHeaders

HIDDEN = b"hidden-by-mitm-balancer"
"""Stands in a flow where a credential was."""

_CARRIERS = frozenset(name.encode() for name in CARRIER_HEADERS)

_FOR_A_PROXY = b"proxy-authorization"
"""Hidden as well, and never forwarded: whoever sent it inside the tunnel meant a proxy."""

_NO_LOGIN = frozenset({b"cookie", _FOR_A_PROXY})

_LINE_END = re.compile(rb"[\r\n\0]")

_HOP_BY_HOP = frozenset({b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"keep-alive", b"te"})
"""Never forwarded (RFC 9110 7.6.1). `connection: keep-alive` stays: it is true for our hop as well."""

_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding"})
"""Never hop-by-hop, whatever Connection says: without them the request would be another one."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """The client's own credential, kept aside. Its repr gives nothing away."""

    headers: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    """(name in lower case, value) of each carrier, in order."""
    queries: tuple[str, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        """Whether the client brought a credential at all (cookies alone are none)."""
        return bool(self.queries) or any(value and name not in _NO_LOGIN for name, value in self.headers)


def hide(
    request: http.Request, names: frozenset[bytes] = _CARRIERS, queries: frozenset[str] = CARRIER_QUERIES
) -> Hidden:
    """Take the carriers in `names` and `queries` (see `carriers`, `query_carriers`) out of what the flow will show."""
    taken: list[tuple[bytes, bytes]] = []
    fields: list[tuple[bytes, bytes]] = []
    for name, value in request.headers.fields:
        lower = name.lower()
        if (lower in names or lower == _FOR_A_PROXY) and value != HIDDEN:
            taken.append((lower, value))
            fields.append((name, HIDDEN))
        else:
            fields.append((name, value))
    if taken:
        request.headers = http.Headers(fields)
    return Hidden(tuple(taken), _hide_query(request, queries))


def _hide_query(request: http.Request, names: frozenset[str]) -> tuple[str, ...]:
    path, mark, query = request.path.partition("?")
    if not mark:
        return ()
    taken: list[str] = []
    pairs = query.split("&")
    for i, pair in enumerate(pairs):
        name, _, value = pair.partition("=")
        if value and value != HIDDEN.decode() and _names(pair, names):
            taken.append(value)
            pairs[i] = f"{name}={HIDDEN.decode()}"
    if taken:
        request.path = f"{path}?{'&'.join(pairs)}"
    return tuple(taken)


def _names(pair: str, names: frozenset[str]) -> bool:
    """Whether this part of a query is one of `names`, however its name is escaped."""
    return urllib.parse.unquote_plus(pair.partition("=")[0]) in names


@dataclass(frozen=True, slots=True)
class Carrier:
    """An account's credential and where it goes."""

    form: CredentialForm
    credential: str = field(repr=False)

    @property
    def auth(self) -> Auth:
        return self.form.auth

    def value(self) -> bytes:
        return f"{self.auth.prefix}{self.credential}".encode("latin-1")


def carriers(provider: Provider) -> frozenset[bytes]:
    """Header names (lower case) that may hold a credential for this provider."""
    return _CARRIERS | {form.auth.header.encode() for form in provider.forms if form.auth.header}


def query_carriers(provider: Provider) -> frozenset[str]:
    """Query parameters that may hold a credential for this provider."""
    return CARRIER_QUERIES | {form.auth.query for form in provider.forms if form.auth.query}


def leaving(provider: Provider) -> frozenset[bytes]:
    """Header names that never go out with an account's credential: all carriers, and account-bound companions."""
    return carriers(provider) | {companion.encode() for companion in provider.companions}


def for_client(request: http.Request, hidden: Hidden) -> RawHeaders:
    """The client's own fields with its own credential back in its places.

    A place that nothing is known for (a flow replayed from a dump) goes: the placeholder is no credential.
    """
    waiting: dict[bytes, list[bytes]] = {}
    for name, value in hidden.headers:
        waiting.setdefault(name, []).append(value)
    fields: list[tuple[bytes, bytes]] = []
    for name, value in request.headers.fields:
        if value != HIDDEN:
            fields.append((name, value))
        elif values := waiting.get(name.lower()):
            fields.append((name, values.pop(0)))
    return tuple(_base_fields(request, fields))


def client_target(request: http.Request, hidden: Hidden) -> bytes:
    """The client's own path and query."""
    path, mark, query = request.path.partition("?")
    values = iter(hidden.queries)
    pairs: list[str] = []
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if value != HIDDEN.decode():
            pairs.append(pair)
        elif (own := next(values, None)) is not None:
            pairs.append(name + equals + own)
    return _raw(f"{path}{mark}{'&'.join(pairs)}")


def _raw(path: str) -> bytes:
    """The bytes that mitmproxy made this text from."""
    return path.encode("utf-8", "surrogateescape")


def for_account(
    request: http.Request,
    carrier: Carrier,
    *,
    gone: frozenset[bytes],
    host: bytes | None = None,
    beside: Sequence[tuple[bytes, bytes]] = (),
) -> RawHeaders:
    """The client's fields with the account's credential in the place of the client's.

    Every carrier and every account-bound companion goes; the account's stands where the first of them stood, under the
    client's own spelling of that header if it used the same one. `gone` is `leaving(provider)`; `host` replaces the
    Host field (another base URL). `beside` are companions of the account's own: each takes the place of the
    client's, or comes last.
    """
    name = (carrier.auth.header or "").encode()
    fields: list[tuple[bytes, bytes]] = []
    place: int | None = None
    placed = not name
    waiting = dict(beside)
    for field_name, value in _base_fields(request, request.headers.fields):
        lower = field_name.lower()
        if lower == b"host" and host is not None:
            fields.append((field_name, host))
        elif lower not in gone and lower != name:
            fields.append((field_name, value))
        elif lower == name and not placed:
            fields.append((field_name, carrier.value()))
            placed = True
        elif lower in waiting:
            fields.append((field_name, waiting.pop(lower)))
        elif place is None and lower != b"cookie":
            place = len(fields)
    if not placed:
        fields.insert(len(fields) if place is None else place, (name, carrier.value()))
    fields += waiting.items()
    return tuple(_with_tokens(fields, carrier.form))


def account_target(
    request: http.Request,
    carrier: Carrier,
    base_path: str = "",
    edit: Callable[[str], str] | None = None,
    *,
    path: str | None = None,
    gone: frozenset[str] = frozenset(),
) -> bytes:
    """The path under the account's base URL, without the client's key, with the account's if it stands in the query.

    `path` replaces the client's own; `gone` are more parameters that may hold a credential.
    """
    own, mark, query = request.path.partition("?")
    path = own if path is None else path
    path = join_path(base_path, path if edit is None else edit(path))
    names = CARRIER_QUERIES | gone | ({carrier.auth.query} if carrier.auth.query else set())
    parts = [p for p in query.split("&") if not _names(p, names)] if mark else []
    if carrier.auth.query:
        parts.append(f"{carrier.auth.query}={urllib.parse.quote(carrier.credential, safe='')}")
    return _raw(f"{path}?{'&'.join(parts)}" if parts else path)


def hide_cookies(response: http.Response) -> tuple[bytes, ...]:
    """Take the values of Set-Cookie out of a response that the flow will show, and give them back."""
    fields = response.headers.fields
    if first(fields, b"set-cookie") is None:
        return ()
    response.headers = http.Headers([(n, HIDDEN if n.lower() == b"set-cookie" else v) for n, v in fields])
    return tuple(value for name, value in fields if name.lower() == b"set-cookie")


def hide_quoted(body: bytes, credential: str) -> bytes:
    """A refusal's body without the credential that it may quote; its length stays, for the head has stated it."""
    quoted = credential.encode("latin-1")
    return body.replace(quoted, b"*" * len(quoted)) if quoted else body


def hide_quoted_in(response: http.Response, credential: str) -> None:
    """The same for a response that a flow will show: here a coded body is looked into as well."""
    body = response.get_content(strict=False) or b""
    quiet = hide_quoted(body, credential)
    if quiet != body:
        response.content = quiet


def with_cookies(response: http.Response, cookies: tuple[bytes, ...]) -> http.Response:
    """The response that the client gets: the shown one with its cookies back."""
    if not cookies:
        return response
    waiting = iter(cookies)
    sent = response.copy()
    sent.headers = http.Headers(
        [(n, next(waiting, v) if n.lower() == b"set-cookie" else v) for n, v in response.headers.fields]
    )
    return sent


def join_path(base: str, path: str) -> str:
    """`path` under `base`; what the end of `base` and the beginning of `path` share stands once.

    A base URL is written as the SDKs write theirs, with or without the version: `/openai/v1` + `/v1/chat/completions`
    is `/openai/v1/chat/completions`, and `/api/anthropic` + `/v1/messages` is `/api/anthropic/v1/messages`.
    """
    if not base.strip("/"):
        return path
    have = base.strip("/").split("/")
    want = path.lstrip("/").split("/")
    for size in range(min(len(have), len(want)), 0, -1):
        if have[-size:] == want[:size]:
            want = want[size:]
            break
    return "/" + "/".join([*have, *want])


def default_host(origin: Origin) -> bytes:
    """The Host field for an origin. Raises UnicodeError for a name that is no host name."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    name = host if origin.port == (443 if origin.scheme == "https" else 80) else f"{host}:{origin.port}"
    return name.encode("ascii" if name.isascii() else "idna")


def _base_fields(request: http.Request, fields: Sequence[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Fields fit for an HTTP/1.1 hop: hop-by-hop ones out, Host and a length in when the client's version had none."""
    dropped = _HOP_BY_HOP | _named_in_connection(fields)
    if not any(name.lower() == b"host" for name, _ in fields):
        yield b"host", request.data.authority or default_host(Origin(request.scheme, request.host, request.port))
    if request.is_http2 or request.is_http3:
        fields = _from_h2(request, fields)
    for name, value in fields:
        lower = name.lower()
        if lower == b"connection":
            value = _connection(value)  # noqa: PLW2901
            if not value:
                continue
        if lower not in dropped:
            yield name, value


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip() for token in value.split(b",")]


def _connection(value: bytes) -> bytes:
    """What of a Connection field is true for our hop as well: an upgrade is answered by the provider."""
    ours = [token for token in _tokens(value) if token.lower() in (b"keep-alive", b"upgrade")]
    return value if len(ours) == value.count(b",") + 1 else b", ".join(ours)


def _named_in_connection(fields: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    named = {token.lower() for name, value in fields if name.lower() == b"connection" for token in _tokens(value)}
    return frozenset(named - {b"keep-alive", b"close", b"upgrade", b"connection"} - _FRAMING)


def _from_h2(request: http.Request, fields: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """RFC 9113 8.2.3: cookies may be split in h2 and are one field in HTTP/1.1; a body needs its length there."""
    jar = b"; ".join(value for name, value in fields if name.lower() == b"cookie")
    made: list[tuple[bytes, bytes]] = []
    cookie_seen = False
    for name, value in fields:
        if name.lower() != b"cookie":
            made.append((name, value))
        elif not cookie_seen:
            cookie_seen = True
            made.append((name, jar))
    content = request.raw_content
    framed = any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in fields)
    if not framed and (content or request.method not in ("GET", "HEAD", "OPTIONS")):
        length = (b"transfer-encoding", b"chunked") if content is None else (b"content-length", b"%d" % len(content))
        made.append(length)
    return made


def _with_tokens(fields: list[tuple[bytes, bytes]], form: CredentialForm) -> list[tuple[bytes, bytes]]:
    """Add and drop the credential-bound tokens of comma-separated headers (`anthropic-beta`)."""
    for header, token in form.drop_tokens:
        fields = list(_without_token(fields, header.encode(), token.encode()))
    for header, token in form.add_tokens:
        _add_token(fields, header.encode(), token.encode())
    return fields


def _without_token(fields: list[tuple[bytes, bytes]], header: bytes, token: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, value in fields:
        if name.lower() != header or token not in value:
            yield name, value
        elif kept := b",".join(part for part in value.split(b",") if part.strip() != token).strip():
            yield name, kept


def _add_token(fields: list[tuple[bytes, bytes]], header: bytes, token: bytes) -> None:
    if any(name.lower() == header and token in map(bytes.strip, value.split(b",")) for name, value in fields):
        return
    for i, (name, value) in enumerate(fields):
        if name.lower() == header:
            fields[i] = (name, value + b"," + token if value.strip() else token)
            return
    fields.append((header, token))


def could_smuggle(request: http.Request) -> bool:
    """Whether a field of the client's holds what ends a line, or a NUL. mitmproxy lets a bare CR in a value pass."""
    fields = (part for field in request.headers.fields for part in field)
    return _LINE_END.search(b" ".join((request.data.path, *fields))) is not None
