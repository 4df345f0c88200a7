"""mitmproxy's upstream options, as settings of the pool (DESIGN 3.6)."""

from __future__ import annotations

import logging

from mitmproxy import options as moptions
from mitmproxy.proxy import mode_specs

from mitm_balancer.upstream.dial import Via
from mitm_balancer.upstream.tls import TlsSettings

logger = logging.getLogger(__name__)


def tls_settings(options: moptions.Options) -> TlsSettings:
    """What `--set ssl_*`, `client_certs`, `tls_version_server_*` and `ciphers_server` say."""
    return TlsSettings(
        trusted_ca=options.ssl_verify_upstream_trusted_ca,
        trusted_confdir=options.ssl_verify_upstream_trusted_confdir,
        insecure=options.ssl_insecure,
        client_certs=options.client_certs,
        version_min=_get(options, "tls_version_server_min") or "TLS1_2",
        version_max=_get(options, "tls_version_server_max") or "UNBOUNDED",
        ciphers=_get(options, "ciphers_server"),
    )


def via_option(options: moptions.Options) -> Via | None:
    """The proxy of `--mode upstream:`, with `--upstream-auth`."""
    if not options.mode or not options.mode[0].startswith("upstream:"):
        return None
    mode = mode_specs.ProxyMode.parse(options.mode[0])
    if not isinstance(mode, mode_specs.UpstreamMode):
        return None
    return Via(mode.scheme, mode.address[0], mode.address[1], _get(options, "upstream_auth"))


def warn_of_modes(options: moptions.Options) -> None:
    """In reverse mode clients name no host: nothing is balanced, and nobody would see why."""
    for mode in options.mode:
        if mode.startswith("reverse:"):
            logger.warning("mitm-balancer: nothing is balanced in mode %s: use the regular mode and HTTPS_PROXY", mode)


def _get(options: moptions.Options, name: str) -> str | None:
    """An option of an addon that may not be loaded."""
    return getattr(options, name) if name in options else None
