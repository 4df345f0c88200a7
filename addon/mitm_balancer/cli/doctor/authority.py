"""The CA: is it there, how long does it last, and which agents of this shell trust it."""

from __future__ import annotations

import contextlib
import datetime
import os
import ssl
from collections.abc import Iterable
from pathlib import Path

from mitm_balancer.cli.cabundle import CA_NAME
from mitm_balancer.cli.clientenv import MARK
from mitm_balancer.cli.doctor.model import Bench, Findings, fail, ok, warn

SOON = 30
"""Days before its end from which on it is told. mitmproxy's lasts ten years."""

KEY_NAME = "mitmproxy-ca.pem"

TRUST = {
    "Claude Code": ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"),
    "Codex": ("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"),
    "opencode": ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"),
    "Gemini CLI": ("NODE_EXTRA_CA_CERTS",),
    "Copilot CLI": ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"),
    "aider and the Python SDKs": ("SSL_CERT_FILE",),
}
"""Which variables each reads, measured (docs/agents.md); the first that is set counts for Codex, any for the others."""


def authority(bench: Bench) -> Findings:
    """The certificate that clients must trust."""
    path = bench.proxy.ca if bench.proxy is not None else bench.home / CA_NAME
    if not path.exists():
        yield ok("ca", f"none yet: the first start makes {path}")
        return
    try:
        pem = path.read_text()
        ends = _end_of(pem)
    except (OSError, ValueError) as e:
        yield fail("ca", f"{path} is no certificate: {e}", f"move {path.parent}/mitmproxy-ca* away: a start makes anew")
        return
    left = (ends - datetime.datetime.now(datetime.UTC)).days
    cure = f"move {path.parent}/mitmproxy-ca* away: the next start makes a new one"
    if left < 0:
        yield fail("ca", f"{path} ended on {ends:%Y-%m-%d}: no agent accepts it", cure)
    elif left < SOON:
        yield warn("ca", f"{path} ends on {ends:%Y-%m-%d}", cure)
    else:
        yield ok("ca", f"{path}, good until {ends:%Y-%m-%d}")
    key = path.with_name(KEY_NAME)
    if key.exists() and key.stat().st_mode & 0o077:
        yield fail("ca", f"others can read its key, {key}", f"chmod 600 {key}")
    yield from _trust(bench, _der_of(pem))


def _trust(bench: Bench, ca: bytes) -> Findings:
    system = ca in _system_roots()
    trusting = [agent for agent, names in TRUST.items() if system or _trusts(bench, names, ca)]
    if trusting and len(trusting) == len(TRUST):
        yield ok("trust", f"every agent started from this shell trusts it{' (the system does)' if system else ''}")
    elif not bench.environ.get(MARK):
        text = "agents trust it that are started with exec, or in a shell with the lines of env"
        yield ok("trust", text, f'{bench.command} exec -- claude, or eval "$({bench.command} env)"')
    else:
        others = ", ".join(agent for agent in TRUST if agent not in trusting)
        text = f"this shell leads through a balancer, but these will not trust its CA: {others}"
        yield warn("trust", text, f'eval "$({bench.command} env)"')


def _system_roots() -> list[bytes]:
    """What the system trusts, whatever SSL_CERT_FILE of this shell says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if os.name == "nt":
        context.load_default_certs()
    else:
        with contextlib.suppress(OSError):
            context.load_verify_locations(ssl.get_default_verify_paths().openssl_cafile)
    return context.get_ca_certs(binary_form=True)


def _trusts(bench: Bench, names: Iterable[str], ca: bytes) -> bool:
    given = [bench.environ[name] for name in names if bench.environ.get(name)]
    if names == TRUST["Codex"]:
        given = given[:1]
    return any(_holds(Path(file), ca) for file in given)


def _holds(file: Path, ca: bytes) -> bool:
    try:
        blocks = file.read_text(errors="replace").split("-----BEGIN CERTIFICATE-----")[1:]
    except OSError:
        return False
    return any(_der_of("-----BEGIN CERTIFICATE-----" + block) == ca for block in blocks)


def _der_of(pem: str) -> bytes:
    end = "-----END CERTIFICATE-----"
    start = pem.find("-----BEGIN CERTIFICATE-----")
    try:
        return ssl.PEM_cert_to_DER_cert(pem[start : pem.index(end, start) + len(end)])
    except ValueError:
        return b""


def _end_of(pem: str) -> datetime.datetime:
    from cryptography import x509  # noqa: PLC0415 - 30 ms that only this needs

    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
