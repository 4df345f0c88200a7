"""The TLS side of the pool: what mitmproxy's own upstream side honours, ours does too (DESIGN 3.6)."""

from __future__ import annotations

import functools
import ssl
from dataclasses import dataclass
from pathlib import Path

import certifi

_VERSIONS = {
    "UNBOUNDED": None,
    "TLS1": ssl.TLSVersion.TLSv1,
    "TLS1_1": ssl.TLSVersion.TLSv1_1,
    "TLS1_2": ssl.TLSVersion.TLSv1_2,
    "TLS1_3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """mitmproxy's options of the same names."""

    trusted_ca: str | None = None
    """`ssl_verify_upstream_trusted_ca`: a PEM file; without it and `trusted_confdir` certifi's bundle counts."""
    trusted_confdir: str | None = None
    insecure: bool = False
    """`ssl_insecure`: nothing is verified; the attempt then gets no account's credential (the caller sees to that)."""
    client_certs: str | None = None
    """A PEM file, or a folder with `<host>.pem`."""
    version_min: str = "TLS1_2"
    version_max: str = "UNBOUNDED"
    ciphers: str | None = None

    def context(self, host: str) -> ssl.SSLContext:
        """The context for `host`. Raises OSError or ssl.SSLError when a configured file is unusable."""
        return _context(self, client_certificate(self.client_certs, host))


def client_certificate(client_certs: str | None, host: str) -> str | None:
    """The PEM file that `client_certs` gives for `host`, by mitmproxy's rule."""
    if not client_certs:
        return None
    path = Path(client_certs).expanduser()
    if path.is_file():
        return str(path)
    candidate = path / f"{host}.pem"
    return str(candidate) if candidate.is_file() else None


@functools.lru_cache(maxsize=64)
def _context(settings: TlsSettings, certificate: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.trusted_ca or settings.trusted_confdir:
        context.load_verify_locations(_expand(settings.trusted_ca), _expand(settings.trusted_confdir))
    else:
        context.load_verify_locations(certifi.where())
    if (lowest := _VERSIONS.get(settings.version_min)) is not None:
        context.minimum_version = lowest
    if (highest := _VERSIONS.get(settings.version_max)) is not None:
        context.maximum_version = highest
    if settings.ciphers:
        context.set_ciphers(settings.ciphers)
    if certificate:
        context.load_cert_chain(certificate)
    # Only HTTP/1.1 is spoken upstream: all hosts of wire-facts section 24 serve it, and one request per connection
    # keeps a slow stream from holding up another.
    context.set_alpn_protocols(["http/1.1"])
    return context


def _expand(path: str | None) -> str | None:
    return None if path is None else str(Path(path).expanduser())
