"""`audit`, `metrics` and `notices`: what the proxy tells of itself, and to whom."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mitm_balancer.config.checks import boolean, many, number, optional, text, whole
from mitm_balancer.config.credentials import credential
from mitm_balancer.config.nodes import BadValueError, Value
from mitm_balancer.config.sources import CredentialSource, Literal
from mitm_balancer.config.urls import is_loopback
from mitm_balancer.secrets import Secret

OFF, FILE, STDOUT = "off", "file", "stdout"
"""Words of `audit.to`; anything else is a path."""


def destination(value: Value) -> str:
    """A check: where the audit log goes. YAML 1.1 reads a bare `off` as false."""
    if value.scalar() is False:
        return OFF
    try:
        return text(value)
    except BadValueError as bad:
        raise BadValueError(str(bad).replace("expected a string", "expected file, stdout, off or a path")) from None


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    """A name or an address, IPv6 without brackets."""
    port: int

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(value: Value) -> Address:
    """A check for `HOST:PORT`; a port alone is not enough, because who may ask should be read at a glance."""
    found = text(value)
    try:
        parts = urlsplit(f"//{found}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    bare = parts.netloc == found and "@" not in found if host else False
    if not host or not port or not bare or (host != "localhost" and not _is_ip(host)):
        raise BadValueError(f'expected an address and a port ("127.0.0.1:9464"), got {value.shown()}')
    return Address(host, port)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def webhook(value: Value) -> CredentialSource:
    """A check. The whole URL is a secret: those of chat services carry their key in the path. Never quoted back."""
    if value.is_table:
        return credential(value, Path(value.report.file).parent)
    return Literal(webhook_url(text(value)))


def webhook_url(found: str) -> Secret:
    """The URL, if it is one that a notice may be sent to. Raises BadValueError."""
    try:
        parts = urlsplit(found)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise BadValueError("expected an https:// URL") from None
    if parts.scheme not in ("http", "https") or not host or any(ord(char) <= 32 or ord(char) > 126 for char in found):
        raise BadValueError("expected an https:// URL")
    if parts.username is not None or parts.password is not None:
        raise BadValueError("expected a URL without user name and password")
    if parts.scheme == "http" and not is_loopback(host):
        raise BadValueError("expected https:// (plain http:// is for 127.0.0.0/8, [::1] and localhost only)")
    return Secret(found)


def _setting(default: Any, check: Any) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True, slots=True)
class Audit:
    """The log of decisions, one JSON object per line."""

    to: str = _setting(FILE, destination)
    """`file`: audit.ndjson in the home; `stdout`; `off`; or a path, relative to the configuration's folder."""
    max_mb: int = _setting(10, whole(1, 10_000))
    """The file is put aside when it is larger."""
    keep: int = _setting(5, whole(0, 1000))
    """Files put aside that stay."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """For Prometheus."""

    listen: Address | None = field(default=None, metadata={"check": optional(address)})
    """None: off."""
    allow_remote: bool = _setting(False, boolean)
    """Needed for any address that is not this machine's own: whoever reaches it can read the metrics."""


@dataclass(frozen=True, slots=True)
class Notices:
    """Who is told when an account is left, when all are out, when one needs a login, when the store fails."""

    command: tuple[str, ...] = _setting((), many(text))
    """Program and arguments; no shell. It gets the event as JSON on its standard input."""
    webhook: CredentialSource | None = field(default=None, metadata={"check": optional(webhook)})
    """Where the URL is that gets the event as JSON in a POST."""
    min_interval_s: float = _setting(60.0, number(0, 86_400))
    """The same thing is not told again sooner."""
    timeout_s: float = _setting(10.0, number(0.1, 300))
