"""The page that Prometheus reads: GET /metrics, in threads of its own, and nothing else."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = "/metrics"

TIMEOUT = 10.0
"""Seconds for a client to say what it wants."""


class ExporterError(Exception):
    """It cannot listen; the text says where and why."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """As the base does it, without asking DNS for our own name: that can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = TIMEOUT

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is no news."""


class Exporter:
    """Serves from `start` on until `close`."""

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self.registry, self.host, self.port = registry, host, port
        self._server: WSGIServer | None = None

    def start(self) -> None:
        """Listen. Raises ExporterError."""
        where = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        kind = _Server6 if ":" in self.host else _Server
        try:
            server = make_server(self.host, self.port, self._serve, server_class=kind, handler_class=_Handler)
        except OSError as error:
            raise ExporterError(f"no metrics on {where}: {error.strerror or error}") from error
        self._server = server
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, name="balancer-metrics", daemon=True).start()

    def close(self) -> None:
        """Stop. Takes up to half a second."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if not is_own_name(environ.get("HTTP_HOST", ""), self.host):
            return _plain(start, "403 Forbidden", "ask by the address that `metrics.listen` names")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _plain(start, "405 Method Not Allowed", "GET only")
        if environ["PATH_INFO"] != PATH:
            return _plain(start, "404 Not Found", f"see {PATH}")
        start("200 OK", [("Content-Type", CONTENT_TYPE_LATEST), ("Cache-Control", "no-store")])
        return [generate_latest(self.registry)]


def _plain(start: Callable[..., object], status: str, text: str) -> list[bytes]:
    start(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]


def is_own_name(header: str, listening: str) -> bool:
    """Whether a Host field names us. A web page can make a browser ask 127.0.0.1 under a name of its own (DNS
    rebinding): then the name is not an address. Where others may ask, any address will do."""
    host = header.strip().rpartition(":")[0] if not header.endswith("]") and ":" in header else header.strip()
    host = host.strip("[]").lower()
    if host in ("", "localhost", listening):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
