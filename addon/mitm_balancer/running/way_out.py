"""How the proxy's own connections leave this machine: as mitmproxy is told, else as the environment says."""

from __future__ import annotations

from mitm_balancer.upstream.base import Origin
from mitm_balancer.upstream.dial import Via, proxy_from_environment

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class WayOut:
    """`via` is mitmproxy's `--mode upstream:`: another one makes another way, so that no connection of the old one is
    used. `addresses` are those that this proxy listens at."""

    def __init__(self, via: Via | None = None, addresses: tuple[tuple[str, int], ...] = ()) -> None:
        self.via = via
        self.addresses = addresses

    def route(self, origin: Origin) -> Via | None:
        """The proxy on the way to `origin`; None: none."""
        via = self.via or proxy_from_environment(origin)
        if via is not None and via.host in _LOOPBACK and self._is_self(via.port):
            return None  # HTTPS_PROXY in our own environment points at ourselves
        return via

    def of_environment(self, host: str, port: int) -> Via | None:
        """The operator's own HTTPS_PROXY towards a host; with `--mode upstream:` there is none."""
        return None if self.via is not None else self.route(Origin("https", host, port))

    def _is_self(self, port: int) -> bool:
        return any(port == listening for _, listening in self.addresses)
