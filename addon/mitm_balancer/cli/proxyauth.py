"""A proxy that asks for a name and a password (mitmproxy's proxyauth): only the user knows them."""

from __future__ import annotations

from pathlib import Path

from mitm_balancer.cli.bus import Proxy, proxy_state


def asks_for_password(proxy: Proxy, home: Path) -> str:
    """What the user has to do for an agent, in one sentence; empty when this proxy asks for nothing."""
    state = proxy_state(home)
    if not state.get("proxyauth") or state.get("pid") != proxy.pid:
        return ""
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return (
        "the proxy asks for a name and a password (proxyauth), which nobody else knows: after the lines of "
        f"balancer env, set HTTPS_PROXY and https_proxy to http://NAME:PASSWORD@{host}:{proxy.port}"
    )
