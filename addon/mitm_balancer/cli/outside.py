"""The way out to providers for a command that asks one itself, when no proxy does it."""

from __future__ import annotations

import os

from mitm_balancer.cli.clientenv import MARK
from mitm_balancer.upstream.base import Origin
from mitm_balancer.upstream.dial import Via, parse_proxy, proxy_from_environment
from mitm_balancer.upstream.pool import Pool
from mitm_balancer.upstream.tls import TlsSettings


def pool() -> Pool:
    """Trusts what this shell says is to be trusted (`SSL_CERT_FILE`: a company's own root), else certifi's roots."""
    return Pool(TlsSettings(trusted_ca=os.environ.get("SSL_CERT_FILE") or None), way_out)


def way_out(origin: Origin) -> Via | None:
    """The operator's own proxy. Not ours, which the environment may still name and which leads back to us."""
    mark = os.environ.get(MARK)
    via = proxy_from_environment(origin)
    return None if via is None or (mark and via == parse_proxy(mark)) else via
