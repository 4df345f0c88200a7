"""Hosts and base URLs: credentials travel only over verified TLS, or to this machine itself."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mitm_balancer.config.checks import text
from mitm_balancer.config.nodes import BadValueError, Value

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOSTNAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")
"""RFC 3986 path-abempty: what may stand in a request line without being encoded."""

_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """Where an account's attempts go instead of the host that the client named."""

    scheme: str
    host: str
    """Lower case; an IPv6 address without brackets."""
    port: int
    path: str = ""
    """Comes before the request's own path; without a slash at its end."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def base_url(value: Value) -> BaseUrl:
    """A check. The URL is never quoted back: it may hold a password by mistake."""
    return read_base_url(text(value))


def read_base_url(given: str) -> BaseUrl:
    """The same for a text. Raises BadValueError."""
    url, port = _split(given)
    host = (url.hostname or "").rstrip(".")
    if url.scheme not in _DEFAULT_PORTS or not _is_host(host):
        raise BadValueError("expected an https:// URL with a host name or an address")
    if url.username is not None or url.password is not None:
        raise BadValueError("expected a URL without user name and password: the credential belongs in `credential`")
    if url.query or url.fragment:
        raise BadValueError("expected a URL without ? and #")
    if not _PATH.fullmatch(url.path):
        raise BadValueError("expected a path that is percent-encoded")
    if url.scheme == "http" and not is_loopback(host):
        raise BadValueError("expected https:// (plain http:// is for 127.0.0.0/8, [::1] and localhost only)")
    return BaseUrl(url.scheme, host, port or _DEFAULT_PORTS[url.scheme], url.path.rstrip("/"))


def host_entry(value: Value) -> str:
    """A check for `host`, `*.suffix`, `host:port` or `[v6]:port`; the result is in lower case."""
    found = text(value).strip().lower()
    if "/" in found or "@" in found:
        raise BadValueError(
            'expected a host without scheme and path ("llm.corp.example", "*.corp.example", "127.0.0.1:9000")'
        )
    url, _ = _split(f"https://{found.removeprefix('*.')}")
    host = url.hostname or ""
    if found.startswith("*.") and "." not in host:
        raise BadValueError("expected at least two labels after *. : everything under one would be decrypted")
    if not _is_host(host) or found.endswith(":"):
        raise BadValueError(f"expected host, *.suffix or host:port, got {value.shown()}")
    return found


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: 127.0.0.0/8, ::1, or the name localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str) -> tuple[SplitResult, int | None]:
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise BadValueError("expected no spaces or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadValueError("expected a valid address, with a port from 1 to 65535") from None
    if port == 0:
        raise BadValueError("expected a port from 1 to 65535")
    return parts, port


def _is_host(host: str) -> bool:
    if ":" in host or host.replace(".", "").isdigit():
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True
    return len(host) <= 253 and bool(_HOSTNAME.fullmatch(host))
