"""The mitmproxy side: options, which connections are intercepted, and where our streams are put in.

Hooks stay short: they look things up in memory and hand over. Reading files, SQLite and the network happen elsewhere.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mitmproxy import connection, ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy import layer, layers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import ClientTLSLayer, ServerTLSLayer, modes
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode, RequestHeaders
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.proxy.server import ConnectionHandler

from mitm_balancer.proxy import contentview, target_type, wire
from mitm_balancer.proxy.call import Call
from mitm_balancer.proxy.commands import Commands
from mitm_balancer.proxy.hand import Hand, Operated
from mitm_balancer.proxy.hooks import Hooks
from mitm_balancer.proxy.outlet import FlowOutlet
from mitm_balancer.proxy.priority_commands import PriorityCommands
from mitm_balancer.proxy.runs import Runs
from mitm_balancer.proxy.runtime import Runtime
from mitm_balancer.proxy.stream import BalancedLayer
from mitm_balancer.proxy.tasks import spawn
from mitm_balancer.proxy.upstream_options import tls_settings, via_option, warn_of_modes
from mitm_balancer.upstream.dial import Via
from mitm_balancer.upstream.tls import TlsSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """The addon's own options; "" stands for the default of the contract."""

    config: str
    home: str


class Backend(Operated, Protocol):
    """What the composition root makes (app.App)."""

    runtime: Runtime
    proxyauth: bool
    """Clients need a name and a password of the operator's."""

    async def start(self) -> None:
        """Read the credentials and begin to watch the configuration. Called again after a script reload."""

    def network(self, tls: TlsSettings, via: Via | None) -> None:
        """mitmproxy's upstream options changed."""

    def proxy_for(self, host: str, port: int) -> Via | None:
        """The operator's own HTTPS_PROXY towards a host that is none of ours; with `--mode upstream:` there is none."""

    def listening(self, addresses: tuple[tuple[str, int], ...], confdir: Path) -> None:
        """Where the proxy listens and keeps its CA: for `balancer exec`, and so as not to be our own upstream proxy."""

    def close(self) -> Awaitable[None] | None:
        """The proxy stops: flush and let go. Something has to be waited for when an awaitable comes back."""


class BalancerAddon:
    """`compose` makes the backend; it may give back the one of before a script reload."""

    name = "balancer"

    def __init__(self, compose: Callable[[Settings], Backend | None]) -> None:
        self.compose = compose
        self.backend: Backend | None = None
        self._hooks: Hooks | None = None
        self._runs = Runs()

    # -- life cycle ---------------------------------------------------------------------------------------------

    def load(self, loader: Loader) -> None:
        contentview.register()
        hand = Hand(lambda: self.backend)
        target_type.register(hand.accounts, hand.providers)
        Commands(hand).register(loader)
        PriorityCommands(hand).register(loader)
        loader.add_option(
            "balancer_config",
            str,
            "",
            "Balancer: path of the YAML configuration. Default: $BALANCER_CONFIG, else config.yaml in the home.",
        )
        loader.add_option(
            "balancer_home",
            str,
            "",
            "Balancer: folder of the state. Default: $BALANCER_HOME, else mitm-balancer in the XDG data folder.",
        )
        loader.add_option(
            "balancer_allow_remote",
            bool,
            False,
            "Balancer: serve clients that are not on this machine. Only together with proxyauth.",
        )

    def configure(self, updated: set[str]) -> None:
        if self.backend is None or updated & {"balancer_config", "balancer_home"}:
            self.backend = self.compose(Settings(ctx.options.balancer_config, ctx.options.balancer_home))
        if self.backend is not None:
            self.backend.network(tls_settings(ctx.options), via_option(ctx.options))

    def running(self) -> None:
        if self.backend is None:
            return
        warn_of_modes(ctx.options)
        server = ctx.master.addons.get("proxyserver")
        if server is not None:
            addresses = tuple((a[0], a[1]) for a in server.listen_addrs())
            self.backend.proxyauth = _has_proxyauth()
            self.backend.listening(addresses, Path(ctx.options.confdir).expanduser())
        spawn(self.backend.start(), "balancer start")

    def done(self) -> Awaitable[None] | None:
        # A touched script is done() -> load() -> running(): what runs must go on, so only a real end closes. Such a
        # reload calls it synchronously, so it is no coroutine function; at the end mitmproxy awaits what comes back.
        if self.backend is not None and ctx.master.should_exit.is_set():
            return self.backend.close()
        return None

    # -- who may use the proxy ----------------------------------------------------------------------------------

    def client_connected(self, client: connection.Client) -> None:
        if _is_local(client) or (ctx.options.balancer_allow_remote and _has_proxyauth()):
            return
        why = "set balancer_allow_remote and proxyauth to serve other machines"
        logger.warning("mitm-balancer: refused a client from %s: %s", client.peername[0], why)
        client.error = f"refused by mitm-balancer: {why}"

    def client_disconnected(self, client: connection.Client) -> None:
        self._runs.ended(client.id)

    # -- what is intercepted ------------------------------------------------------------------------------------

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """A claimed host needs no server connection of mitmproxy's own (DESIGN 3.3)."""
        host, port = flow.request.host, flow.request.port
        if self.backend is None or flow.response or flow.error:
            return
        self._runs.connects(flow.client_conn.id, flow.request)
        claimed = self.backend.runtime.claims(host, port)
        if not claimed and self.backend.proxy_for(host, port) is None:
            return
        now = time.time()
        flow.response = http.Response(b"HTTP/1.1", 200, b"Connection established", http.Headers(), b"", None, now, now)
        if claimed:
            self.backend.runtime.warm_up(host, port)

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        """A blind tunnel through the operator's own proxy: its password, where it wants one."""
        via = self.backend.proxy_for(flow.request.host, flow.request.port) if self.backend is not None else None
        if via is not None and (value := via.authorization) is not None:
            flow.request.headers["proxy-authorization"] = value

    def next_layer(self, data: layer.NextLayer) -> None:
        builtin = ctx.master.addons.get("nextlayer")
        if self.backend is None or builtin is None or data.layer is not None:
            return
        builtin.next_layer(data)
        if data.layer is None or not isinstance(data.context.layers[0], _TUNNELLING):
            return
        context = data.context
        if (via := self._leads_through(context, data)) is not None:
            self._lead_through(via, data)
        elif isinstance(_outside(context, data.layer), ClientTLSLayer):
            self._decrypted(data, context)
        elif isinstance(data.layer, ServerTLSLayer) and isinstance(data.layer.child_layer, ClientTLSLayer):
            self._tls(data, context)
        elif type(data.layer) is HttpLayer and data.layer.mode is HTTPMode.transparent:
            self._http(data, context)

    def _leads_through(self, context: Context, data: layer.NextLayer) -> Via | None:
        """The operator's proxy, for what is inside a CONNECT to a host of nobody's."""
        assert self.backend is not None
        host = _destination(context, data.data_client())
        if host is None or len(context.layers) < _IN_A_TUNNEL or context.server.connected:
            return None
        return None if self.backend.runtime.claims(*host) else self.backend.proxy_for(*host)

    @staticmethod
    def _lead_through(via: Via, data: layer.NextLayer) -> None:
        _forget(data.context, data.layer)
        data.context.server.via = ("https" if via.scheme == "https" else "http", (via.host, via.port))
        data.context.server.tls = False
        stack = HttpUpstreamProxy.make(data.context, send_connect=True)
        stack /= layers.TCPLayer(data.context, ignore=True)
        data.layer = stack[0]

    def _tls(self, data: layer.NextLayer, context: Context) -> None:
        """TLS inside a tunnel: terminate it for a claimed host, pass it blind for all others."""
        host = _destination(context, data.data_client())
        claimed = host is not None and self.backend is not None and self.backend.runtime.claims(*host)
        _forget(context, data.layer)
        context.server.tls = False
        if claimed:
            data.layer = ClientTLSLayer(context)
        else:
            data.layer = layers.TCPLayer(context, ignore=True)

    def _http(self, data: layer.NextLayer, context: Context) -> None:
        """Without TLS: inside a CONNECT it is passed on as it is."""
        if len(context.layers) > 2:
            _forget(context, data.layer)
            data.layer = layers.TCPLayer(context, ignore=True)

    def _decrypted(self, data: layer.NextLayer, context: Context) -> None:
        """What we have decrypted is HTTP, whatever its first bytes look like and whoever claims the host by now.

        mitmproxy takes a first record without a line end for raw TCP, and what is decrypted would go out in clear text.
        """
        host = _destination(context, b"")
        _forget(context, data.layer)
        if not context.server.connected and host is not None:
            context.server.address = host
        context.server.tls = True
        data.layer = BalancedLayer(context, HTTPMode.transparent, self.open_call, keep_bodies=_bodies_are_wanted())

    # -- requests -----------------------------------------------------------------------------------------------

    def open_call(self, context: Context, event: RequestHeaders, parent: BalancedLayer) -> Call | None:
        """See `proxy.stream.Opener`. Fails open: None is mitmproxy's own way with the client's own credential."""
        request = event.request
        as_it_came = request.headers, request.path
        try:
            call = self._call(request, context.server.address, self._runs.of(context.client.id))
            if call is not None:
                handler = ctx.master.addons.get("proxyserver").connections[context.client.id]
                take_the_short_way(handler, parent)
                call.attach(handler, parent, event.stream_id, self._hooks_of_master())
        except Exception:  # the outermost border (P10)
            logger.exception("mitm-balancer: internal error, the request goes through unbalanced")
            request.headers, request.path = as_it_came  # its credential may have been hidden already
            return None
        return call

    def _call(self, request: http.Request, address: tuple[str, int] | None, run: tuple[str, ...] = ()) -> Call | None:
        if self.backend is None or address is None:
            return None
        runtime = self.backend.runtime
        claim = runtime.claim(address[0], address[1], request.method, request.path)
        if claim is None:
            return None
        hidden = wire.hide(request, wire.carriers(claim.pool.provider), wire.query_carriers(claim.pool.provider))
        return Call(runtime, claim, hidden, observed=_is_observed(), run=run)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Plain HTTP through the proxy: what the client says to us about its run is not for the site that it asks."""
        if flow.request.scheme == "http":
            self._runs.connects(flow.client_conn.id, flow.request)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        if self.backend is None or flow.websocket is None:
            return
        if (socket := self.backend.runtime.sockets.get(flow.id)) is not None:
            messages = flow.websocket.messages
            socket.message(messages[-1])
            if not _messages_are_wanted():
                del messages[:-1]  # mitmproxy keeps them all, and a socket may be open for days

    def _hooks_of_master(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks(ctx.master.addons)
        return self._hooks

    async def request(self, flow: http.HTTPFlow) -> None:
        """A replayed flow has no stream of ours: its attempts are made here (DESIGN 3.11)."""
        if flow.is_replay != "request" or flow.response or flow.error or flow.request.scheme != "https":
            return
        call = self._call(flow.request, (flow.request.host, flow.request.port))
        if call is not None:
            await call.run(flow, FlowOutlet(flow))


def take_the_short_way(handler: ConnectionHandler, parent: BalancedLayer) -> None:
    """Lead the connection's events straight to the TLS layer inside the CONNECT tunnel.

    The tunnel is transparent by now: all that its three layers do to an event is to unpack and repack the same bytes,
    which costs a fifth of a streamed event. A connection's first request comes the long way, the rest the short one.
    """
    stack = parent.context.layers
    inner = stack[stack.index(parent) - 1]
    if isinstance(inner, ClientTLSLayer) and handler.layer is not inner:
        handler.layer = inner


_IN_A_TUNNEL = 3
"""Layers on a connection once a CONNECT has been answered: the mode, its HTTP, and what is asked for here."""

_TUNNELLING = (modes.HttpProxy, modes.HttpUpstreamProxy, modes.TransparentProxy, modes.Socks5Proxy)


def _chain(chosen: layer.Layer | None) -> list[layer.Layer]:
    """What the built-in addon has chosen: a layer, or one in another."""
    found = []
    while chosen is not None:
        found.append(chosen)
        chosen = getattr(chosen, "child_layer", None)
    return found


def _outside(context: Context, chosen: layer.Layer | None) -> layer.Layer | None:
    """The innermost layer that was there before."""
    new = _chain(chosen)
    return next((known for known in reversed(context.layers) if known not in new), None)


def _destination(context: Context, hello: bytes) -> tuple[str, int] | None:
    """Where the client wants to go, by name: a CONNECT by address is named by its SNI."""
    if not context.server.address:
        return None
    host, port = context.server.address[0], context.server.address[1]
    if _is_ip(host):
        sni = context.client.sni or _sni(hello)
        return (sni or host, port)
    return (host, port)


def _sni(hello: bytes) -> str | None:
    if not hello:
        return None
    try:
        parsed = parse_client_hello(hello)
    except ValueError:
        return None
    return parsed.sni if parsed is not None else None


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _forget(context: Context, chosen: layer.Layer | None) -> None:
    """Take what the built-in addon had put on the stack off again."""
    for new in _chain(chosen):
        if new in context.layers:
            context.layers.remove(new)


def _is_local(client: connection.Client) -> bool:
    if isinstance(client.proxy_mode, mode_specs.LocalMode):
        return True
    address = ipaddress.ip_address(client.peername[0].rsplit("%", 1)[0])
    if isinstance(address, ipaddress.IPv6Address):
        return (address.ipv4_mapped or address).is_loopback
    return address.is_loopback


def _has_proxyauth() -> bool:
    return "proxyauth" in ctx.options and bool(ctx.options.proxyauth)


def _get_scripts() -> Sequence[str]:
    return ctx.options.scripts if "scripts" in ctx.options else ()


def _bodies_are_wanted() -> bool:
    """Bodies are kept where somebody looks at them or saves them, and only there."""
    options = ctx.options
    if options.store_streamed_bodies or ctx.master.addons.get("view") is not None:
        return True
    return any(name in options and getattr(options, name) for name in ("save_stream_file", "hardump"))


def _messages_are_wanted() -> bool:
    """The same of the frames of a socket, which somebody's script may read as well."""
    return _bodies_are_wanted() or _has_scripts()


def _is_observed() -> bool:
    """Whether anything but ourselves sees flows: a user interface, a dump, somebody's script."""
    options, addons = ctx.options, ctx.master.addons
    if addons.get("view") is not None or _bodies_are_wanted():
        return True
    dumped = addons.get("dumper") is not None and options.flow_detail > 0
    return dumped or _has_scripts()


def _has_scripts() -> bool:
    return any(not path.endswith("balancer.py") for path in _get_scripts())
