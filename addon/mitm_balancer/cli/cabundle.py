"""The file of root certificates that an agent is given: what this machine trusts, and the proxy's own CA.

Nothing is installed in a system store: only programs that are started with these variables trust the proxy.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import certifi

from mitm_balancer.files import replace

NAME = "ca-bundle.pem"

CA_NAME = "mitmproxy-ca-cert.pem"
"""mitmproxy's own name for its CA certificate."""

INHERITED = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CODEX_CA_CERTIFICATE")
"""Where people with an inspecting company proxy already name its root: it must go on being trusted."""

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def write_bundle(folder: Path, ca: Path, environ: Mapping[str, str]) -> Path:
    """Write `ca-bundle.pem` (0600, atomically) and return its path. OSError when the CA or the folder fails."""
    target = folder / NAME
    inherited = (Path(environ[name]) for name in INHERITED if environ.get(name))
    sources = [_pem_of(ca), _system_roots(), _pem_of(Path(certifi.where()))]
    sources += [_pem_of_optional(path) for path in inherited if path != target]
    text = "\n".join(_unique(block for source in sources for block in source)) + "\n"
    if not target.exists() or target.read_text() != text:
        replace(target, text.encode())
    return target


def _system_roots() -> Iterator[str]:
    """The roots that Python's own TLS finds on this system; on Linux the distribution's file, on Windows its store."""
    context = ssl.create_default_context()
    for der in context.get_ca_certs(binary_form=True):
        yield ssl.DER_cert_to_PEM_cert(der).strip()


def _pem_of(path: Path) -> Iterator[str]:
    """The certificates of a PEM file, without the comments between them."""
    for part in path.read_text(encoding="utf-8", errors="replace").split(_BEGIN)[1:]:
        body, end, _ = part.partition(_END)
        if end:
            yield f"{_BEGIN}\n{body.strip()}\n{_END}"


def _pem_of_optional(path: Path) -> Iterator[str]:
    try:
        yield from _pem_of(path)
    except OSError:  # a stale variable of the user's is theirs; TLS did without it so far
        return


def _unique(blocks: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for block in blocks:
        key = "".join(block.split())
        if key not in seen:
            seen.add(key)
            yield block
