"""Opening a connection: name lookup, TCP (both address families raced), an operator's proxy, TLS."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

import aiohappyeyeballs

from mitm_balancer.core.verdict import Sent
from mitm_balancer.upstream.base import ConnInfo, Origin, UpstreamError
from mitm_balancer.upstream.connection import Connection
from mitm_balancer.upstream.tls import TlsSettings

HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds before the next address is tried beside the first (RFC 8305 section 5)."""

MAX_PROXY_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Via:
    """An HTTP proxy between us and the provider: `--mode upstream:` or the operator's own HTTPS_PROXY."""

    scheme: str
    host: str
    port: int
    auth: str | None = field(default=None, repr=False)
    """`user:password`, for Proxy-Authorization."""

    @property
    def authorization(self) -> str | None:
        """The value of Proxy-Authorization; None: the proxy wants none."""
        return None if self.auth is None else f"Basic {base64.b64encode(self.auth.encode()).decode()}"


def proxy_from_environment(origin: Origin) -> Via | None:
    """The proxy that HTTPS_PROXY/ALL_PROXY and NO_PROXY name for this origin, by the usual rules."""
    proxies = urllib.request.getproxies_environment()
    url = proxies.get(origin.scheme) or proxies.get("all")
    if not url or urllib.request.proxy_bypass_environment(origin.host, proxies):  # type: ignore[attr-defined]
        return None
    return parse_proxy(url)


def parse_proxy(url: str) -> Via | None:
    """`http://user:pw@host:port` -> Via; None for schemes that cannot CONNECT (socks), and for what is no URL."""
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    auth = None
    if parts.username is not None:
        auth = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return Via(parts.scheme, parts.hostname, port, auth)


async def dial(origin: Origin, tls: TlsSettings, via: Via | None, limit: float | None) -> Connection:
    """A connected, verified connection. Raises UpstreamError (stage `connect`, `proxy` or `tls`); nothing was sent."""
    stage = _Stage()
    try:
        async with asyncio.timeout(limit) as timer:
            return await _dial(origin, tls, via, stage)
    except ssl.SSLError as e:
        why = getattr(e, "verify_message", "") or e.reason or e
        raise UpstreamError("tls", f"TLS: {why}", sent=Sent.NOTHING) from None
    except OSError as e:  # TimeoutError is one: ours, or the kernel's
        ours = timer.expired()
        why = f"not connected within {limit:g} s" if ours else _reason(e)
        raise UpstreamError(stage.now, why, sent=Sent.NOTHING, timeout=isinstance(e, TimeoutError)) from None
    except UnicodeError:  # a host name that IDNA cannot encode
        raise UpstreamError(stage.now, f"not a host name: {origin.host[:80]!r}", sent=Sent.NOTHING) from None


def _reason(error: OSError) -> str:
    """`Connection refused` rather than asyncio's `Connect call failed (address)`."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


class _Stage:
    """Where dialling stands, for the error."""

    def __init__(self) -> None:
        self.now = "tls"


async def _dial(origin: Origin, tls: TlsSettings, via: Via | None, stage: _Stage) -> Connection:
    loop = asyncio.get_running_loop()
    info = ConnInfo(origin, started=time.time())
    connection = Connection(info, loop)
    context = tls.context(origin.host) if origin.scheme == "https" else None
    stage.now = "connect"
    sock = await _tcp(via.host if via else origin.host, via.port if via else origin.port)
    info.connected = time.time()
    info.peername, info.sockname = _address(sock.getpeername()), _address(sock.getsockname())
    # From here the socket is the transport's, which closes it when a handshake fails: closed under its feet, its
    # number could already be another connection's while the loop still watches it.
    if via is None:
        stage.now = "tls" if context else "connect"
        await loop.create_connection(
            lambda: connection, sock=sock, ssl=context, server_hostname=origin.host if context else None
        )
    else:
        stage.now = "proxy"
        tunnel = await _open_tunnel(loop, sock, origin, via, tls)
        await _enter_tunnel(loop, tunnel, origin, context, connection, stage)
    _fill_tls(connection)
    return connection


async def _tcp(host: str, port: int) -> socket.socket:
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await aiohappyeyeballs.start_connection(infos, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY)


async def _open_tunnel(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, origin: Origin, via: Via, tls: TlsSettings
) -> asyncio.Transport:
    """CONNECT through the operator's proxy."""
    context = tls.context(via.host) if via.scheme == "https" else None
    reader = asyncio.StreamReader(MAX_PROXY_HEAD, loop)
    transport, _ = await loop.create_connection(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop),
        sock=sock,
        ssl=context,
        server_hostname=via.host if context else None,
    )
    target = f"[{origin.host}]:{origin.port}" if ":" in origin.host else f"{origin.host}:{origin.port}"
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if via.auth:
        head += f"Proxy-Authorization: {via.authorization}\r\n"
    try:
        transport.write(f"{head}\r\n".encode())
        _check_connect(await reader.readuntil(b"\r\n\r\n"))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        transport.abort()
        raise UpstreamError("proxy", "the upstream proxy gave no answer to CONNECT", sent=Sent.NOTHING) from None
    except BaseException:
        transport.abort()
        raise
    return transport


def _check_connect(answer: bytes) -> None:
    parts = answer.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].startswith(b"2"):
        code = parts[1][:20].decode("latin-1") if len(parts) > 1 else "?"
        raise UpstreamError("proxy", f"the upstream proxy refused CONNECT with {code}", sent=Sent.NOTHING)


async def _enter_tunnel(
    loop: asyncio.AbstractEventLoop,
    tunnel: asyncio.Transport,
    origin: Origin,
    context: ssl.SSLContext | None,
    connection: Connection,
    stage: _Stage,
) -> None:
    tunnel.set_protocol(connection)
    if context is None:
        connection.connection_made(tunnel)
        return
    stage.now = "tls"
    secured = await loop.start_tls(tunnel, connection, context, server_hostname=origin.host)
    assert secured is not None
    connection.connection_made(secured)


def _fill_tls(connection: Connection) -> None:
    info, transport = connection.info, connection.transport
    assert transport is not None
    tls = transport.get_extra_info("ssl_object")
    if tls is None or info.origin.scheme != "https":  # the TLS of an operator's proxy is not the provider's
        return
    info.tls_done = time.time()
    info.tls_version = tls.version()
    cipher = tls.cipher()
    info.cipher = cipher[0] if cipher else None
    selected = tls.selected_alpn_protocol()
    info.alpn = selected.encode() if selected else None
    der = tls.getpeercert(binary_form=True)
    info.certificate_der = (der,) if der else ()


def _address(name: object) -> tuple[str, int] | None:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) and len(name) >= 2 else None


def environment_has_proxy() -> bool:
    """Whether any proxy variable is set: lets the caller skip the look-up per connection."""
    return any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"))
